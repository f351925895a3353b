//! Looking up attributes.

use netcdf_reader::{NcAttrValue, NcAttribute};

/// The attributes of a variable or a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [NcAttribute]);

/// A number of an attribute; the width of floats matters for decoding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i128),
    F32(f32),
    F64(f64),
}

impl Number {
    #[allow(clippy::cast_precision_loss, reason = "factors and offsets are applied as floats")]
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::F32(value) => value.into(),
            Number::F64(value) => value,
        }
    }

    pub(crate) fn is_nan(self) -> bool {
        match self {
            Number::Int(_) => false,
            Number::F32(value) => value.is_nan(),
            Number::F64(value) => value.is_nan(),
        }
    }
}

impl<'a> Attributes<'a> {
    pub(crate) fn get(self, name: &str) -> Option<&'a NcAttrValue> {
        self.0.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value)
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The text of an attribute, if it is one text.
    pub(crate) fn text(self, name: &str) -> Option<&'a str> {
        match self.get(name)? {
            NcAttrValue::Chars(text) => Some(text),
            NcAttrValue::Strings(texts) => match texts.as_slice() {
                [text] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// What an attribute is, in words.
    pub(crate) fn kind(self, name: &str) -> String {
        match self.get(name) {
            None => "absent".into(),
            Some(NcAttrValue::Chars(_)) => "a text".into(),
            Some(NcAttrValue::Strings(texts)) => match texts.len() {
                1 => "a text".into(),
                count => format!("a list of {count} texts"),
            },
            Some(NcAttrValue::UserDefined { .. }) => "of a user-defined type".into(),
            Some(_) => match self.numbers(name).len() {
                1 => "a number".into(),
                count => format!("a list of {count} numbers"),
            },
        }
    }

    /// The numbers of an attribute, if it has any.
    pub(crate) fn numbers(self, name: &str) -> Vec<Number> {
        self.get(name).and_then(numbers).unwrap_or_default()
    }
}

/// The numbers of a value; `None` where it is not made of numbers.
pub(crate) fn numbers(value: &NcAttrValue) -> Option<Vec<Number>> {
    fn ints<T: Copy + Into<i128>>(values: &[T]) -> Vec<Number> {
        values.iter().map(|value| Number::Int((*value).into())).collect()
    }
    Some(match value {
        NcAttrValue::Bytes(values) => ints(values),
        NcAttrValue::Shorts(values) => ints(values),
        NcAttrValue::Ints(values) => ints(values),
        NcAttrValue::Int64s(values) => ints(values),
        NcAttrValue::UBytes(values) => ints(values),
        NcAttrValue::UShorts(values) => ints(values),
        NcAttrValue::UInts(values) => ints(values),
        NcAttrValue::UInt64s(values) => ints(values),
        NcAttrValue::Floats(values) => values.iter().copied().map(Number::F32).collect(),
        NcAttrValue::Doubles(values) => values.iter().copied().map(Number::F64).collect(),
        NcAttrValue::Chars(_) | NcAttrValue::Strings(_) | NcAttrValue::UserDefined { .. } => return None,
    })
}
