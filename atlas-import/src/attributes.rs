//! From NetCDF attributes to those of a dataset.

use crate::source::{Number, numbers};
use atlas_store::Attribute;
use netcdf_reader::NcAttrValue;

/// The dataset attribute that lists the coordinates, as in the reference.
pub(crate) const COORDINATES: &str = "_pyatlas_coords";
/// The dataset attribute that keeps what decoding consumed.
pub(crate) const ENCODING: &str = "_pyatlas_encoding";

/// The value as a dataset attribute: one value as itself, several as a `json:` list.
pub(crate) fn attribute(value: &NcAttrValue) -> Result<Attribute, String> {
    match value {
        NcAttrValue::Chars(text) => return Ok(Attribute::String(text.clone())),
        NcAttrValue::Strings(texts) => {
            if let [text] = texts.as_slice() {
                return Ok(Attribute::String(text.clone()));
            }
        }
        _ => {}
    }
    if let Some([number]) = numbers(value).as_deref() {
        return Ok(match number {
            // What passes int64 keeps its digits rather than its type.
            Number::Int(value) => {
                i64::try_from(*value).map_or_else(|_| Attribute::String(value.to_string()), Attribute::Int64)
            }
            number => Attribute::Float64(number.to_f64()),
        });
    }
    Ok(Attribute::String(format!("json:{}", json(value)?)))
}

/// The value as JSON, with the words of Python's `json` for what JSON cannot say: one value as itself, several as a list.
pub(crate) fn json(value: &NcAttrValue) -> Result<String, String> {
    let items: Vec<String> = match (value, numbers(value)) {
        (_, Some(numbers)) => numbers.into_iter().map(json_number).collect(),
        (NcAttrValue::Chars(text), None) => vec![json_text(text)],
        (NcAttrValue::Strings(texts), None) => texts.iter().map(|text| json_text(text)).collect(),
        (_, None) => return Err("is of a user-defined type and is left out".into()),
    };
    Ok(match items.as_slice() {
        [item] => item.clone(),
        items => format!("[{}]", items.join(", ")),
    })
}

fn json_number(number: Number) -> String {
    match number {
        Number::Int(value) => value.to_string(),
        number => match number.to_f64() {
            value if value.is_nan() => "NaN".into(),
            f64::INFINITY => "Infinity".into(),
            f64::NEG_INFINITY => "-Infinity".into(),
            value => format!("{value:?}"),
        },
    }
}

/// The text as a JSON string.
pub(crate) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The names as a JSON list.
pub(crate) fn json_list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", names.map(json_text).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn one_value_is_itself_and_several_are_json() {
        assert_eq!(attribute(&NcAttrValue::Shorts(vec![7])), Ok(Attribute::Int64(7)));
        assert_eq!(attribute(&NcAttrValue::Floats(vec![1.0])), Ok(Attribute::Float64(1.0)));
        assert_eq!(attribute(&NcAttrValue::Doubles(vec![1.0, f64::NAN])), Ok("json:[1.0, NaN]".into()));
        assert_eq!(attribute(&NcAttrValue::Ints(vec![])), Ok("json:[]".into()));
        assert_eq!(attribute(&NcAttrValue::UInt64s(vec![u64::MAX])), Ok("18446744073709551615".into()));
        assert_eq!(
            attribute(&NcAttrValue::Strings(vec!["a\"b".into(), "é".into()])).unwrap(),
            r#"json:["a\"b", "é"]"#.into()
        );
    }
}
