//! Schemas of clients: the Arrow crate panics on fields that are not what the format says.

use arrow::ipc::{DateUnit, Endianness, Field, Int, IntervalUnit, Precision, Schema, TimeUnit, Type, UnionMode};

/// How deep types may nest.
const MAX_DEPTH: usize = 64;

/// The widest value of a fixed number of bytes.
const MAX_FIXED_BYTES: i32 = 1 << 20;

/// Checks that a schema is one.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(schema: Schema<'_>) -> Result<(), &'static str> {
    if schema.endianness() != Endianness::Little {
        return Err("is not little-endian");
    }
    let fields = schema.fields().ok_or("has no fields")?;
    fields.iter().try_for_each(|field| check_field(field, MAX_DEPTH))
}

fn check_field(field: Field<'_>, depth: usize) -> Result<(), &'static str> {
    let depth = depth.checked_sub(1).ok_or("has types that nest too deep")?;
    if let Some(dictionary) = field.dictionary() {
        check_int(dictionary.indexType())?;
    }
    let children = field.children();
    let count = children.map_or(0, |children| children.len());
    let wanted = match field.type_type() {
        Type::Null
        | Type::Bool
        | Type::Binary
        | Type::BinaryView
        | Type::LargeBinary
        | Type::Utf8
        | Type::Utf8View
        | Type::LargeUtf8 => Some(0),
        Type::Int => check_int(field.type_as_int()).map(|()| Some(0))?,
        Type::FloatingPoint => {
            let precision = field.type_as_floating_point().map(|float| float.precision());
            known(precision.is_some_and(|unit| (Precision::HALF..=Precision::DOUBLE).contains(&unit)), 0)?
        }
        Type::Date => {
            let unit = field.type_as_date().map(|date| date.unit());
            known(unit.is_some_and(|unit| (DateUnit::DAY..=DateUnit::MILLISECOND).contains(&unit)), 0)?
        }
        Type::Time => {
            let time = field.type_as_time().map(|time| (time.bitWidth(), time.unit()));
            let is_known = matches!(
                time,
                Some(
                    (32, TimeUnit::SECOND | TimeUnit::MILLISECOND) | (64, TimeUnit::MICROSECOND | TimeUnit::NANOSECOND)
                )
            );
            known(is_known, 0)?
        }
        Type::Timestamp => known(field.type_as_timestamp().is_some_and(|time| is_unit(time.unit())), 0)?,
        Type::Duration => known(field.type_as_duration().is_some_and(|time| is_unit(time.unit())), 0)?,
        Type::Interval => {
            let unit = field.type_as_interval().map(|interval| interval.unit());
            let units = IntervalUnit::YEAR_MONTH..=IntervalUnit::MONTH_DAY_NANO;
            known(unit.is_some_and(|unit| units.contains(&unit)), 0)?
        }
        Type::Decimal => {
            let decimal = field.type_as_decimal().ok_or("has a type without its parameters")?;
            let most = match decimal.bitWidth() {
                32 => 9,
                64 => 18,
                128 => 38,
                256 => 76,
                _ => return Err("has a decimal of unknown width"),
            };
            let fits = (1..=most).contains(&decimal.precision());
            known(fits && (-most..=decimal.precision()).contains(&decimal.scale()), 0)?
        }
        Type::FixedSizeBinary => {
            let bytes = field.type_as_fixed_size_binary().map(|binary| binary.byteWidth());
            known(bytes.is_some_and(|bytes| (0..=MAX_FIXED_BYTES).contains(&bytes)), 0)?
        }
        Type::FixedSizeList => known(field.type_as_fixed_size_list().is_some_and(|list| list.listSize() >= 0), 1)?,
        Type::List | Type::LargeList | Type::ListView | Type::LargeListView => Some(1),
        Type::Struct_ => None,
        Type::RunEndEncoded => {
            let ends = children.filter(|children| children.len() == 2).map(|children| children.get(0));
            let ends = ends.and_then(|ends| ends.type_as_int());
            known(ends.is_some_and(|ends| ends.is_signed() && matches!(ends.bitWidth(), 16 | 32 | 64)), 2)?
        }
        Type::Map => {
            let entries = children.filter(|children| children.len() == 1).map(|children| children.get(0));
            let pairs = entries.filter(|entries| entries.type_type() == Type::Struct_);
            let pairs = pairs.and_then(|pairs| pairs.children()).map(|pairs| pairs.len());
            known(pairs == Some(2) && field.type_as_map().is_some(), 1)?
        }
        Type::Union => {
            let union = field.type_as_union().ok_or("has a type without its parameters")?;
            let mut ids: Vec<i32> = union.typeIds().map(|ids| ids.iter().collect()).unwrap_or_default();
            if union.typeIds().is_none() {
                ids = (0..=127).take(count).collect();
            }
            ids.sort_unstable();
            ids.dedup();
            let fits = ids.len() == count && ids.iter().all(|id| (0..=127).contains(id));
            known(fits && matches!(union.mode(), UnionMode::Dense | UnionMode::Sparse), count)?
        }
        _ => return Err("has a field of unknown type"),
    };
    if wanted.is_some_and(|wanted| wanted != count) {
        return Err("has a type with another number of children than it takes");
    }
    children.iter().flatten().try_for_each(|child| check_field(child, depth))
}

/// A type with so many children, if it is one.
fn known(is_known: bool, children: usize) -> Result<Option<usize>, &'static str> {
    if is_known { Ok(Some(children)) } else { Err("has a type whose parameters are unknown") }
}

fn is_unit(unit: TimeUnit) -> bool {
    (TimeUnit::SECOND..=TimeUnit::NANOSECOND).contains(&unit)
}

fn check_int(int: Option<Int<'_>>) -> Result<(), &'static str> {
    match int.map(|int| int.bitWidth()) {
        Some(8 | 16 | 32 | 64) => Ok(()),
        _ => Err("has an integer of unknown width"),
    }
}
