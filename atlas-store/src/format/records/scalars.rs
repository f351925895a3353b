//! Lists of scalars whose dtype stands elsewhere: minima, maxima and sums.

use super::columns::Float;
use crate::catalog::Compact;
use crate::cells::{Cells, Element, VarCells};
use crate::dtype::DType;
use crate::scalar::{Scalar, StoredScalar};
use crate::with_physical;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Scalars as they were parsed, in as little memory as their kind needs; `null` where there is none.
#[derive(Default)]
pub(super) struct Scalars {
    present: Vec<bool>,
    /// Whether there is one, which decides the kind of the values.
    is_decided: bool,
    values: Values,
}

/// As many values as there are scalars; what stands in for a missing one means nothing.
enum Values {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(VarCells),
    /// Of several kinds, or of another.
    Mixed(Vec<StoredScalar>),
}

impl Default for Values {
    fn default() -> Self {
        Values::Int(Vec::new())
    }
}

impl Values {
    fn get(&self, at: usize) -> StoredScalar {
        match self {
            Values::Int(values) => StoredScalar::Int(values[at]),
            Values::Float(values) => StoredScalar::Float(values[at]),
            Values::Text(values) => StoredScalar::Text(String::from_utf8_lossy(values.get(at)).into()),
            Values::Mixed(values) => values[at].clone(),
        }
    }
}

impl Scalars {
    pub(super) fn len(&self) -> usize {
        self.present.len()
    }

    fn push_missing(&mut self) {
        self.present.push(false);
        match &mut self.values {
            Values::Int(values) => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Text(values) => values.push(&[]),
            Values::Mixed(values) => values.push(StoredScalar::Int(0)),
        }
    }

    fn push_int(&mut self, value: i64) {
        if let Values::Int(values) = &mut self.values
            && self.is_decided
        {
            values.push(value);
            self.present.push(true);
        } else {
            self.push_other(StoredScalar::Int(value));
        }
    }

    fn push_float(&mut self, value: f64) {
        if let Values::Float(values) = &mut self.values {
            values.push(value);
            self.present.push(true);
        } else {
            self.push_other(StoredScalar::Float(value));
        }
    }

    fn push_text(&mut self, value: &str) {
        if let Values::Text(values) = &mut self.values {
            values.push(value.as_bytes());
            self.present.push(true);
        } else {
            self.push_other(StoredScalar::Text(value.into()));
        }
    }

    /// Appends a value of another kind than those before it.
    fn push_other(&mut self, value: StoredScalar) {
        let count = self.present.len();
        if !self.is_decided {
            self.is_decided = true;
            self.values = match value {
                StoredScalar::Int(_) => Values::Int(vec![0; count]),
                StoredScalar::Float(_) => Values::Float(vec![0.0; count]),
                StoredScalar::Text(_) => Values::Text((0..count).map(|_| &[]).collect()),
                _ => Values::Mixed((0..count).map(|_| StoredScalar::Int(0)).collect()),
            };
        } else if !matches!(self.values, Values::Mixed(_)) {
            self.values = Values::Mixed((0..count).map(|at| self.values.get(at)).collect());
        }
        match (&mut self.values, value) {
            (Values::Int(values), StoredScalar::Int(value)) => values.push(value),
            (Values::Float(values), StoredScalar::Float(value)) => values.push(value),
            (Values::Text(values), StoredScalar::Text(value)) => values.push(value.as_bytes()),
            (Values::Mixed(values), value) => values.push(value),
            // The values were made for this kind.
            _ => return,
        }
        self.present.push(true);
    }

    /// The scalars as cells of `dtype`, and which of them there are.
    ///
    /// # Errors
    /// A message, where one cannot be of that dtype.
    pub(super) fn resolve(self, dtype: DType) -> Result<(Cells, Compact<bool>), String> {
        let refused = || format!("a stored value does not fit {dtype}");
        let Scalars { present, values, .. } = self;
        #[allow(clippy::cast_possible_truncation, reason = "an f32 was widened when it was stored")]
        let cells = match (dtype, values) {
            (DType::Float64, Values::Float(values)) => Cells::F64(values),
            (DType::Float32, Values::Float(values)) => {
                Cells::F32(values.into_iter().map(|value| value as f32).collect())
            }
            (DType::Int64 | DType::TimestampNanoseconds, Values::Int(values)) => Cells::I64(values),
            (DType::String, Values::Text(values)) => Cells::Var(values),
            (_, values) => {
                let resolve = |at: usize| match present[at] {
                    true => values.get(at).resolve(dtype).map(Some).ok_or_else(refused),
                    false => Ok(None),
                };
                with_physical!(dtype.physical(), T => {
                    let cell = |at| Ok(resolve(at)?.as_ref().and_then(T::from_scalar).unwrap_or_default());
                    T::wrap((0..present.len()).map(cell).collect::<Result<_, String>>()?)
                }, var => {
                    let mut cells = VarCells::default();
                    for at in 0..present.len() {
                        cells.push(resolve(at)?.as_ref().and_then(Scalar::as_bytes).unwrap_or_default());
                    }
                    Cells::Var(cells)
                })
            }
        };
        Ok((cells, Compact::Each(present).compacted()))
    }
}

impl<'de> Deserialize<'de> for Scalars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Push<'s>(&'s mut Scalars);
        impl<'de> DeserializeSeed<'de> for Push<'_> {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_any(self)
            }
        }
        impl Visitor<'_> for Push<'_> {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a bool, a number, a text or null")
            }
            fn visit_unit<E>(self) -> Result<(), E> {
                self.0.push_missing();
                Ok(())
            }
            fn visit_bool<E>(self, value: bool) -> Result<(), E> {
                self.0.push_other(StoredScalar::Bool(value));
                Ok(())
            }
            fn visit_i64<E>(self, value: i64) -> Result<(), E> {
                self.0.push_int(value);
                Ok(())
            }
            fn visit_u64<E>(self, value: u64) -> Result<(), E> {
                match i64::try_from(value) {
                    Ok(value) => self.0.push_int(value),
                    Err(_) => self.0.push_other(StoredScalar::UInt(value)),
                }
                Ok(())
            }
            fn visit_f64<E>(self, value: f64) -> Result<(), E> {
                self.0.push_float(value);
                Ok(())
            }
            fn visit_str<E>(self, value: &str) -> Result<(), E> {
                self.0.push_text(value);
                Ok(())
            }
        }
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Scalars;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of scalars")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalars, A::Error> {
                let mut scalars = Scalars::default();
                while list.next_element_seed(Push(&mut scalars))?.is_some() {}
                Ok(scalars)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// A list of scalars to be written, each of them or `null`.
pub(super) enum WrittenScalars<'a> {
    /// No list: an empty one.
    None,
    Cells(DType, &'a Cells, Compact<bool>),
    Ints(&'a [i64], Compact<bool>),
    Floats(&'a [f64], Compact<bool>),
}

impl Serialize for WrittenScalars<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        fn list<S: Serializer, T: Copy, U: Serialize>(
            serializer: S,
            cells: &[T],
            present: &Compact<bool>,
            stored: impl Fn(T) -> U,
        ) -> Result<S::Ok, S::Error> {
            let mut list = serializer.serialize_seq(Some(cells.len()))?;
            for (cell, present) in cells.iter().zip(present.iter()) {
                list.serialize_element(&present.then(|| stored(*cell)))?;
            }
            list.end()
        }
        match self {
            WrittenScalars::None => serializer.collect_seq([(); 0]),
            WrittenScalars::Ints(cells, present) => list(serializer, cells, present, |cell| cell),
            WrittenScalars::Floats(cells, present) => list(serializer, cells, present, Float),
            WrittenScalars::Cells(dtype, cells, present) => with_physical!(dtype.physical(), T => {
                let cells = T::unwrap(cells).unwrap_or_default();
                list(serializer, cells, present, |cell| StoredScalar::new(&cell.into_scalar(*dtype)))
            }, var => {
                let cells: Vec<&[u8]> = match cells {
                    Cells::Var(cells) => cells.iter().collect(),
                    _ => Vec::new(),
                };
                match dtype {
                    // What is in the catalog came in as text.
                    DType::String => list(serializer, &cells, present, |cell| std::str::from_utf8(cell).unwrap_or_default()),
                    _ => list(serializer, &cells, present, |cell| StoredScalar::new(&Scalar::from_bytes(*dtype, cell))),
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str, dtype: DType) -> Result<Vec<Option<Scalar>>, String> {
        let scalars: Scalars = serde_json::from_str(json).unwrap();
        let count = scalars.len();
        let (cells, present) = scalars.resolve(dtype)?;
        assert_eq!((cells.len(), present.len()), (count, count));
        // What is written reads as the same again.
        let msgpack = rmp_serde::to_vec(&WrittenScalars::Cells(dtype, &cells, present.clone())).unwrap();
        let (again, still_present) = rmp_serde::from_slice::<Scalars>(&msgpack).unwrap().resolve(dtype).unwrap();
        let get = |cells: &Cells, present: &Compact<bool>| {
            let cell = |(at, present): (usize, bool)| present.then(|| crate::catalog::bound(dtype, cells, at).unwrap());
            present.iter().enumerate().map(cell).collect::<Vec<_>>()
        };
        assert_eq!(get(&again, &still_present), get(&cells, &present));
        Ok(get(&cells, &present))
    }

    #[test]
    fn scalars_of_any_mix_resolve_to_their_dtype() {
        let float = |value: f64| Some(Scalar::Float64(value));
        let mixed = parsed(r#"[null, null, "NaN", 1.5, null, "inf", 3, -0.0]"#, DType::Float64).unwrap();
        let expected = [None, None, float(f64::NAN), float(1.5), None, float(f64::INFINITY), float(3.0), float(-0.0)];
        assert_eq!(mixed, expected);
        let floats = parsed(r#"[0.1, null, "0x7fc00001", 7.038530691851021e-26]"#, DType::Float32).unwrap();
        let odd = f32::from_bits(0x7fc0_0001);
        let float = |value: f32| Some(Scalar::Float32(value));
        assert_eq!(floats, [float(0.1), None, float(odd), float(7.038_531e-26)]);
        let unsigned = parsed("[1, 18446744073709551615, null]", DType::UInt64).unwrap();
        assert_eq!(unsigned, [Some(Scalar::UInt(1)), Some(Scalar::UInt(u64::MAX)), None]);
        let small = parsed("[-128, 127]", DType::Int8).unwrap();
        assert_eq!(small, [Some(Scalar::Int(-128)), Some(Scalar::Int(127))]);
        assert_eq!(parsed("[null, true]", DType::Bool).unwrap(), [None, Some(Scalar::Bool(true))]);
        let texts = parsed(r#"[null, "é", "", "NaN"]"#, DType::String).unwrap();
        let text = |text: &str| Some(Scalar::String(text.into()));
        assert_eq!(texts, [None, text("é"), text(""), text("NaN")]);
        assert_eq!(parsed(r#"["00ff"]"#, DType::Binary).unwrap(), [Some(Scalar::Binary([0, 255].into()))]);
        assert_eq!(parsed("[null, null]", DType::TimestampNanoseconds).unwrap(), [None, None]);
        assert_eq!(parsed("[]", DType::Int16).unwrap(), []);
    }

    #[test]
    fn scalars_of_another_dtype_are_refused() {
        for (json, dtype) in [
            ("[1, 128]", DType::Int8),
            ("[-1]", DType::UInt16),
            ("[1.5]", DType::Int64),
            ("[1]", DType::String),
            (r#"["x"]"#, DType::Float32),
            (r#"["abc"]"#, DType::Binary),
            ("[2]", DType::Bool),
            ("[1, null, true]", DType::Int64),
            ("[18446744073709551615]", DType::TimestampNanoseconds),
        ] {
            assert!(parsed(json, dtype).is_err(), "{json} as {dtype}");
        }
    }
}
