//! The zone section of a segment: the statistics of each chunk, by column.

use super::wire::{Columns, put_u32s, put_u64s};
use crate::cells::Element;
use crate::dtype::DType;
use crate::scalar::Scalar;
use crate::stats::{Statistics, Sum};
use crate::with_physical;

const HAS_MIN: u8 = 1;
const HAS_MAX: u8 = 2;
const MIN_EXACT: u8 = 4;
const MAX_EXACT: u8 = 8;
const HAS_SUM: u8 = 16;

pub(crate) fn encode(dtype: DType, zones: &[Statistics]) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64s(&mut out, zones.iter().map(|zone| zone.row_count));
    put_u64s(&mut out, zones.iter().map(|zone| zone.null_count));
    put_u64s(&mut out, zones.iter().map(|zone| zone.nan_count));
    out.extend(zones.iter().map(|zone| {
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        flag(zone.min.is_some(), HAS_MIN)
            | flag(zone.max.is_some(), HAS_MAX)
            | flag(zone.min_exact, MIN_EXACT)
            | flag(zone.max_exact, MAX_EXACT)
            | flag(zone.sum.is_some(), HAS_SUM)
    }));
    put_u64s(
        &mut out,
        zones.iter().map(|zone| match zone.sum {
            Some(Sum::Int(sum)) => sum.cast_unsigned(),
            Some(Sum::Float(sum)) => sum.to_bits(),
            None => 0,
        }),
    );
    put_bounds(&mut out, dtype, zones.iter().map(|zone| zone.min.as_ref()));
    put_bounds(&mut out, dtype, zones.iter().map(|zone| zone.max.as_ref()));
    out
}

fn put_bounds<'a>(out: &mut Vec<u8>, dtype: DType, bounds: impl Iterator<Item = Option<&'a Scalar>> + Clone) {
    with_physical!(dtype.physical(), T => {
        for bound in bounds {
            out.extend_from_slice(bytemuck::bytes_of(&bound.and_then(T::from_scalar).unwrap_or_default()));
        }
    }, var => {
        let bytes = |bound: Option<&'a Scalar>| bound.and_then(Scalar::as_bytes).unwrap_or_default();
        #[allow(clippy::cast_possible_truncation, reason = "bounds are cut to MAX_BOUND_BYTES")]
        put_u32s(out, bounds.clone().map(|bound| bytes(bound).len() as u32));
        bounds.for_each(|bound| out.extend_from_slice(bytes(bound)));
    });
}

/// Parses the zones of `count` chunks.
pub(crate) fn decode(raw: &[u8], dtype: DType, count: usize) -> Result<Vec<Statistics>, String> {
    let mut columns = Columns::new(raw);
    let rows = columns.u64s(count)?;
    let nulls = columns.u64s(count)?;
    let nans = columns.u64s(count)?;
    let flags = columns.bytes(count)?;
    let sums = columns.u64s(count)?;
    let mins = take_bounds(&mut columns, dtype, count)?;
    let maxs = take_bounds(&mut columns, dtype, count)?;
    columns.finish()?;
    let zones = mins.into_iter().zip(maxs).enumerate().map(|(chunk, (min, max))| {
        let flag = |bit: u8| flags[chunk] & bit != 0;
        Statistics {
            row_count: rows[chunk],
            null_count: nulls[chunk],
            nan_count: nans[chunk],
            min: flag(HAS_MIN).then_some(min),
            max: flag(HAS_MAX).then_some(max),
            min_exact: flag(MIN_EXACT),
            max_exact: flag(MAX_EXACT),
            sum: flag(HAS_SUM).then_some(if dtype.is_float() {
                Sum::Float(f64::from_bits(sums[chunk]))
            } else {
                Sum::Int(sums[chunk].cast_signed())
            }),
        }
    });
    Ok(zones.collect())
}

fn take_bounds(columns: &mut Columns<'_>, dtype: DType, count: usize) -> Result<Vec<Scalar>, String> {
    with_physical!(dtype.physical(), T => {
        let bytes = columns.bytes(count.checked_mul(size_of::<T>()).ok_or("too many zones")?)?;
        Ok(bytemuck::pod_collect_to_vec::<u8, T>(bytes).into_iter().map(|cell| cell.into_scalar(dtype)).collect())
    }, var => {
        let lengths = columns.u32s(count)?;
        lengths.into_iter().map(|length| Ok(Scalar::from_bytes(dtype, columns.bytes(length as usize)?))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::ArrayData;

    #[test]
    fn zones_survive() {
        let numbers = ArrayData::from_numbers(vec![3], vec![1.5f32, f32::NAN, -7.0]).unwrap();
        let zones = [Statistics::of(&numbers, None), Statistics::empty(DType::Float32)];
        assert_eq!(decode(&encode(DType::Float32, &zones), DType::Float32, 2).unwrap(), zones);
        let texts = ArrayData::from_strings(vec![2], ["ä", "b"]).unwrap();
        let zones = [Statistics::of(&texts, None), Statistics::empty(DType::String)];
        let bytes = encode(DType::String, &zones);
        assert_eq!(decode(&bytes, DType::String, 2).unwrap(), zones);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end], DType::String, 2).is_err());
        }
    }
}
