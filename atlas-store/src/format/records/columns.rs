//! Columns as they are serialised: compact ones, floats and texts.

use crate::catalog::Compact;
use crate::cells::VarCells;
use crate::dtype::DType;
use crate::scalar::{Scalar, StoredScalar, float_text};
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A column whose cells are often all equal, as it was parsed: one value then, else a list.
pub(super) enum Column<T> {
    All(T),
    Each(Vec<T>),
}

/// By hand: a derived untagged enum would buffer every list.
impl<'de, T: Deserialize<'de> + TryFrom<u64>> Deserialize<'de> for Column<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrEach<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + TryFrom<u64>> Visitor<'de> for AllOrEach<T> {
            type Value = Column<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an unsigned integer or a list of them")
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Column<T>, E> {
                T::try_from(value).map(Column::All).map_err(|_| E::custom(format!("{value} is out of range")))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<Column<T>, A::Error> {
                let mut each = Vec::new();
                while let Some(cell) = cells.next_element()? {
                    each.push(cell);
                }
                Ok(Column::Each(each))
            }
        }
        deserializer.deserialize_any(AllOrEach(PhantomData))
    }
}

impl<T: PartialEq + Copy> Column<T> {
    /// The column of so many cells.
    ///
    /// # Errors
    /// A message, where it is a list of another length.
    pub(super) fn of(self, count: usize) -> Result<Compact<T>, String> {
        match self {
            Column::All(cell) => Ok(Compact::All(cell, count)),
            Column::Each(cells) if cells.len() == count => Ok(Compact::Each(cells).compacted()),
            Column::Each(cells) => Err(format!("a column has {} cells, expected {count}", cells.len())),
        }
    }
}

/// A column to be written: one value where all cells are equal, else a list.
pub(super) struct WrittenColumn<'a, T: Clone>(pub(super) Cow<'a, Compact<T>>);

impl<T: Serialize + PartialEq + Copy> Serialize for WrittenColumn<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.0.shared(), &*self.0) {
            (Some(cell), _) => cell.serialize(serializer),
            (None, Compact::Each(cells)) => cells.serialize(serializer),
            (None, Compact::All(..)) => serializer.collect_seq([(); 0]),
        }
    }
}

/// A float that JSON can always say.
pub(super) struct Float(pub(super) f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match float_text(self.0, self.0.to_bits(), f64::NAN.to_bits()) {
            Some(text) => serializer.serialize_str(&text),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredScalar::deserialize(deserializer)?;
        match stored.resolve(DType::Float64) {
            Some(Scalar::Float64(value)) => Ok(Float(value)),
            _ => Err(serde::de::Error::custom("expected a float")),
        }
    }
}

/// Texts, packed: serialised from the catalog's own cells, parsed into cells without a text of their own each.
pub(super) struct Texts<'a>(pub(super) Cow<'a, VarCells>);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What is in the catalog came in as text.
        serializer.collect_seq(self.0.iter().map(|cell| std::str::from_utf8(cell).unwrap_or_default()))
    }
}

impl<'de> Deserialize<'de> for Texts<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Push<'c>(&'c mut VarCells);
        impl<'de> DeserializeSeed<'de> for Push<'_> {
            type Value = ();
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_str(self)
            }
        }
        impl Visitor<'_> for Push<'_> {
            type Value = ();
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E>(self, text: &str) -> Result<(), E> {
                self.0.push(text.as_bytes());
                Ok(())
            }
        }
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = VarCells;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<VarCells, A::Error> {
                let mut cells = VarCells::default();
                while texts.next_element_seed(Push(&mut cells))?.is_some() {}
                cells.shrink_to_fit();
                Ok(cells)
            }
        }
        deserializer.deserialize_seq(List).map(|cells| Texts(Cow::Owned(cells)))
    }
}

/// Floats that JSON can always say.
pub(super) struct Floats<'a>(pub(super) Cow<'a, [f64]>);

impl Serialize for Floats<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|value| Float(*value)))
    }
}

impl<'de> Deserialize<'de> for Floats<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = Vec::<Float>::deserialize(deserializer)?;
        Ok(Floats(values.into_iter().map(|value| value.0).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_survive_json_and_msgpack() {
        let odd = f64::from_bits(f64::NAN.to_bits() | 7);
        for value in [0.0, -0.0, 1.0, 0.1, f64::MIN_POSITIVE, f64::MAX, f64::NAN, odd, f64::INFINITY, f64::NEG_INFINITY]
        {
            let json = serde_json::to_vec(&Float(value)).unwrap();
            assert_eq!(serde_json::from_slice::<Float>(&json).unwrap().0.to_bits(), value.to_bits());
            let msgpack = rmp_serde::to_vec(&Float(value)).unwrap();
            assert_eq!(rmp_serde::from_slice::<Float>(&msgpack).unwrap().0.to_bits(), value.to_bits());
        }
    }
}
