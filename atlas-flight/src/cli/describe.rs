//! Values, shapes and sizes as text for people and as JSON for scripts.
//!
//! In JSON a size is a number of bytes, a time is ISO 8601 text, and a number that JSON cannot say (NaN, infinities) is
//! text: `"NaN"`, `"inf"`, `"-inf"`.

use atlas_store::{Attribute, Scalar, Statistics};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

/// Texts longer than this are cut in listings for people: attributes, and values in columns beside others.
const LONGEST_TEXT: usize = 60;
const LONGEST_VALUE: usize = 24;

/// A size, such as `3.10 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A number of things, such as `1,200`.
pub(crate) fn count(count: u64) -> String {
    HumanCount(count).to_string()
}

/// A number of things with its noun, such as `1 file` and `2 files`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(count))
}

/// A shape, such as `50×24`; rank 0 is `scalar`.
pub(crate) fn shape(shape: &[u64]) -> String {
    if shape.is_empty() {
        return "scalar".into();
    }
    shape.iter().map(u64::to_string).collect::<Vec<_>>().join("×")
}

/// A shape as numpy writes it: `(50, 24)`, `(50,)`, `()`.
pub(crate) fn tuple(shape: &[u64]) -> String {
    match shape {
        [one] => format!("({one},)"),
        many => format!("({})", many.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// A text on one line and not too long.
pub(crate) fn short(text: &str) -> String {
    cut(text, LONGEST_TEXT)
}

fn cut(text: &str, longest: usize) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.trim_end();
    match plain.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &plain[..at]),
        None => plain.to_owned(),
    }
}

/// A value on one line.
pub(crate) fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Float64(value) => float(*value),
        Scalar::String(_) | Scalar::Binary(_) => cut(&value.to_string(), LONGEST_VALUE),
        value => value.to_string(),
    }
}

/// A float with at most seven significant digits, for columns of them.
pub(crate) fn float(value: f64) -> String {
    let rounded: f64 = format!("{value:.6e}").parse().unwrap_or(value);
    if rounded != 0.0 && !(1e-5..1e9).contains(&rounded.abs()) { format!("{rounded:e}") } else { rounded.to_string() }
}

/// A minimum or maximum: `-` where there is none, marked where it is a bound and not a cell.
pub(crate) fn bound(value: Option<&Scalar>, exact: bool) -> String {
    match value {
        None => "-".into(),
        Some(value) if exact => scalar(value),
        Some(value) => format!("~{}", scalar(value)),
    }
}

/// A float as JSON.
pub(crate) fn float_json(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "inf" } else { "-inf" })
    } else {
        json!(value)
    }
}

/// A value as JSON. A float32 has the digits that identify it, not those of its widening.
pub(crate) fn scalar_json(value: &Scalar) -> Value {
    match value {
        Scalar::Bool(value) => json!(value),
        Scalar::Int(value) => json!(value),
        Scalar::UInt(value) => json!(value),
        Scalar::Float32(value) => float_json(value.to_string().parse().unwrap_or_else(|_| f64::from(*value))),
        Scalar::Float64(value) => float_json(*value),
        Scalar::String(value) => json!(value),
        Scalar::Timestamp(_) | Scalar::Binary(_) => json!(value.to_string()),
    }
}

/// An attribute's value as JSON.
pub(crate) fn attribute_json(value: &Attribute) -> Value {
    match value {
        Attribute::Bool(value) => json!(value),
        Attribute::Int64(value) => json!(value),
        Attribute::Float64(value) => float_json(*value),
        Attribute::String(value) => json!(value),
        Attribute::Timestamp(_) => json!(value.to_string()),
    }
}

/// Statistics as JSON: `row_count`, `null_count`, `nan_count`, `min`, `max`, `mean`, and `min_exact`, `max_exact`.
pub(crate) fn statistics_json(statistics: Option<&Statistics>) -> Value {
    let Some(statistics) = statistics else { return Value::Null };
    json!({
        "row_count": statistics.row_count,
        "null_count": statistics.null_count,
        "nan_count": statistics.nan_count,
        "min": statistics.min.as_ref().map(scalar_json),
        "max": statistics.max.as_ref().map(scalar_json),
        "mean": statistics.mean().map(float_json),
        "min_exact": statistics.min_exact,
        "max_exact": statistics.max_exact,
    })
}

/// Whether `a` comes before `b`: numbers and times by value, text and binary by bytes.
pub(crate) fn less(a: &Scalar, b: &Scalar) -> bool {
    match (a, b) {
        (Scalar::Int(a), Scalar::Int(b)) | (Scalar::Timestamp(a), Scalar::Timestamp(b)) => a < b,
        (Scalar::UInt(a), Scalar::UInt(b)) => a < b,
        (a, b) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a < b,
            _ => a.as_bytes() < b.as_bytes(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_read_as_people_write_them() {
        assert_eq!(shape(&[50, 24]), "50×24");
        assert_eq!(shape(&[]), "scalar");
        assert_eq!(tuple(&[3]), "(3,)");
        assert_eq!(tuple(&[3, 4]), "(3, 4)");
    }

    #[test]
    fn floats_keep_seven_digits() {
        assert_eq!(float(28.123_456_789), "28.12346");
        assert_eq!(float(0.0), "0");
        assert_eq!(float(-1.5e12), "-1.5e12");
        assert_eq!(float(f64::NAN), "NaN");
    }

    #[test]
    fn json_has_the_digits_of_the_type() {
        assert_eq!(scalar_json(&Scalar::Float32(30.1)).to_string(), "30.1");
        assert_eq!(scalar_json(&Scalar::Float32(f32::NAN)), json!("NaN"));
        assert_eq!(scalar_json(&Scalar::Timestamp(0)), json!("1970-01-01T00:00:00Z"));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(short("a\nb "), "a b");
        assert_eq!(short(&"é".repeat(70)), format!("{}…", "é".repeat(60)));
    }
}
