//! The CF conventions: what stored cells mean. Pure: metadata and cells in, cells out.

pub(crate) mod mask;
pub(crate) mod reference;
pub(crate) mod scale;
pub(crate) mod text;
pub(crate) mod time;

use crate::source::{Attributes, Number, SourceVariable, Stored};
use atlas_store::{DType, Scalar};
use mask::Mask;
use scale::{Floats, Sign};
use time::Clock;

/// How the cells of one variable become the cells of its array.
#[derive(Debug, Clone)]
pub(crate) enum Decoding {
    /// Numbers or strings as they are stored.
    Stored,
    /// Integers of the sign that `_Unsigned` says; cells of the mask become the fill value.
    Integers { sign: Sign, mask: Mask },
    /// Floats.
    Floats(Floats),
    /// Timestamps from integers.
    IntegerTimes { sign: Sign, mask: Mask, clock: Clock },
    /// Timestamps from floats, which may be scaled integers.
    FloatTimes(Floats, Clock),
    /// 0 is false, everything else true.
    Bools,
    /// Strings from bytes: of this length each, or one byte a string.
    Characters { length: Option<u64>, mask: Vec<String> },
    /// Strings, of which these become the fill value.
    Strings { mask: Vec<String> },
}

/// What a variable becomes.
#[derive(Debug, Clone)]
pub(crate) struct Meaning {
    pub(crate) decoding: Decoding,
    pub(crate) dtype: DType,
    pub(crate) fill: Option<Scalar>,
    /// The attributes that the decoding has used up.
    pub(crate) consumed: Vec<&'static str>,
    /// What a reader of the file should know.
    pub(crate) notes: Vec<String>,
}

/// What a file says about a variable beyond its own attributes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context<'a> {
    /// Whether the last dimension is the length of strings.
    pub(crate) last_is_length: bool,
    /// The attributes of the time variable that this one bounds.
    pub(crate) bounded: Option<Attributes<'a>>,
    /// Whether times are to stay numbers, and why.
    pub(crate) not_as_times: Option<&'a str>,
}

/// The meaning of a variable according to its attributes.
pub(crate) fn decoded(variable: &SourceVariable, context: Context<'_>) -> Meaning {
    let attributes = variable.attributes();
    match &variable.stored {
        Stored::Numbers(dtype) | Stored::Enumeration(dtype, _) => numbers(*dtype, attributes, context),
        Stored::Characters => {
            let length = variable.shape.last().copied().filter(|_| context.last_is_length);
            strings(attributes, |mask| Decoding::Characters { length, mask })
        }
        Stored::Strings | Stored::Unsupported(_) => strings(attributes, |mask| Decoding::Strings { mask }),
    }
}

/// The meaning of a variable whose cells stay as they are stored.
pub(crate) fn raw(variable: &SourceVariable) -> Meaning {
    let attributes = variable.attributes();
    let (decoding, dtype, fill) = match &variable.stored {
        Stored::Numbers(dtype) | Stored::Enumeration(dtype, _) => {
            (Decoding::Stored, *dtype, Mask::of(attributes, *dtype, Sign::AsStored).fill(*dtype))
        }
        Stored::Characters => {
            (Decoding::Characters { length: None, mask: Vec::new() }, DType::String, text_fill(attributes))
        }
        Stored::Strings | Stored::Unsupported(_) => (Decoding::Stored, DType::String, text_fill(attributes)),
    };
    Meaning { decoding, dtype, fill, consumed: Vec::new(), notes: Vec::new() }
}

fn text_fill(attributes: Attributes<'_>) -> Option<Scalar> {
    text::fills(attributes).first().map(|fill| Scalar::String(fill.as_str().into()))
}

fn strings(attributes: Attributes<'_>, decoding: impl FnOnce(Vec<String>) -> Decoding) -> Meaning {
    Meaning {
        decoding: decoding(text::fills(attributes)),
        dtype: DType::String,
        fill: text_fill(attributes),
        consumed: present(attributes, &["_FillValue", "missing_value", "_Encoding"]),
        notes: Vec::new(),
    }
}

fn present(attributes: Attributes<'_>, names: &[&'static str]) -> Vec<&'static str> {
    names.iter().copied().filter(|name| attributes.has(name)).collect()
}

fn numbers(stored: DType, attributes: Attributes<'_>, context: Context<'_>) -> Meaning {
    let mut notes = Vec::new();
    let mut consumed = present(attributes, &["_FillValue", "missing_value", "_Unsigned"]);
    let (sign, dtype) = Sign::of(attributes, stored);
    let mask = Mask::of(attributes, dtype, sign);
    let mut factor = |name: &'static str| {
        let value = scale::factor(attributes, name).unwrap_or_else(|note| {
            notes.push(note);
            None
        });
        consumed.extend(value.is_some().then_some(name));
        value
    };
    let (scale, offset) = (factor("scale_factor"), factor("add_offset"));
    for name in ["_FillValue", "missing_value"] {
        if attributes.has(name) && attributes.numbers(name).is_empty() {
            notes.push(format!("{name} is {}, which no cell can be equal to", attributes.kind(name)));
        }
    }

    let clock = clock(attributes, context);
    let is_time = matches!(clock, Some(Ok(_)));
    let floats = scale::width(dtype, scale, offset, is_time, mask.only_nan()).map(|width| Floats {
        sign,
        mask: mask.clone(),
        scale,
        offset,
        width,
    });
    match clock {
        Some(Ok(clock)) => {
            consumed.extend(["units", "calendar"].iter().filter(|name| attributes.has(name)));
            let decoding = match floats {
                Some(floats) => Decoding::FloatTimes(floats, clock),
                None => Decoding::IntegerTimes { sign, mask, clock },
            };
            let fill = Some(Scalar::Timestamp(i64::MIN));
            return Meaning { decoding, dtype: DType::TimestampNanoseconds, fill, consumed, notes };
        }
        Some(Err(reason)) => notes.push(format!("times kept as numbers: {reason}")),
        None => {}
    }
    if let Some(floats) = floats {
        let (dtype, fill) = (floats.width.dtype(), floats.width.nan());
        return Meaning { decoding: Decoding::Floats(floats), dtype, fill: Some(fill), consumed, notes };
    }
    if attributes.text("dtype") == Some("bool") && mask.is_empty() {
        consumed.push("dtype");
        return Meaning { decoding: Decoding::Bools, dtype: DType::Bool, fill: None, consumed, notes };
    }
    let fill = mask.fill(dtype);
    Meaning { decoding: Decoding::Integers { sign, mask }, dtype, fill, consumed, notes }
}

/// The clock that a variable's times are told by: `None` where it has no times, a reason where they must stay numbers.
fn clock(attributes: Attributes<'_>, context: Context<'_>) -> Option<Result<Clock, String>> {
    let lender = context.bounded.filter(|_| !attributes.has("units"));
    let units = lender.unwrap_or(attributes).text("units").filter(|units| units.contains("since"))?;
    let calendar = attributes.text("calendar").or_else(|| lender?.text("calendar")).unwrap_or("standard");
    Some(match context.not_as_times {
        Some(reason) => Err(reason.to_string()),
        None => Clock::parse(units, calendar),
    })
}

/// Whether a variable has times by its own units, so that its bounds have them too.
pub(crate) fn tells_time(attributes: Attributes<'_>) -> bool {
    attributes.text("units").is_some_and(|units| units.contains("since"))
}

/// Whether a number can be a cell of an integer type; then that cell.
pub(crate) fn integer(number: Number) -> Option<i128> {
    #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    match number {
        Number::Int(value) => Some(value),
        Number::F32(_) | Number::F64(_) => {
            let value = number.to_f64();
            (value.fract() == 0.0 && value.abs() < 1e19).then_some(value as i128)
        }
    }
}
