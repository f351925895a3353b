//! `units: <unit> since <reference>`: numbers as timestamps.

use super::mask::Mask;
use super::reference;
use atlas_store::{Cells, Element};

/// Not a time: the smallest integer, as in numpy.
const NAT: i64 = i64::MIN;

/// How numbers tell time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Nanoseconds of one unit.
    unit: i64,
    /// Nanoseconds from 1970 to the reference.
    reference: i128,
}

impl Clock {
    /// The clock of these units; a reason where it cannot be told as nanoseconds since 1970.
    pub(super) fn parse(units: &str, calendar: &str) -> Result<Self, String> {
        let proleptic = match calendar.to_ascii_lowercase().as_str() {
            "standard" | "gregorian" | "" => false,
            "proleptic_gregorian" => true,
            _ => return Err(format!("calendar {calendar} is not the gregorian one")),
        };
        let (unit, since) =
            units.rsplit_once(" since ").ok_or_else(|| format!("units {units:?} are not <unit> since <reference>"))?;
        let unit = nanoseconds_of(unit.trim())
            .ok_or_else(|| format!("unit {:?} is not one from nanoseconds to days", unit.trim()))?;
        let reference = reference::nanoseconds(since, proleptic)
            .ok_or_else(|| format!("reference {:?} is not understood", since.trim()))?;
        Ok(Clock { unit, reference })
    }

    /// Timestamps from integers.
    pub(crate) fn tell_integers(self, cells: Cells, mask: &Mask) -> Result<Vec<i64>, String> {
        each_number!(cells, cells => self.of_integers(&cells, &mask.cells()), var => Err("not integers".into()))
    }

    fn of_integers<T: Element>(self, cells: &[T], mask: &[T]) -> Result<Vec<i64>, String> {
        cells.iter().map(|cell| if mask.contains(cell) { Ok(NAT) } else { self.at(cell.to_i128()) }).collect()
    }

    /// Timestamps from floats; NaN is not a time.
    pub(crate) fn tell_floats(self, cells: Cells) -> Result<Vec<i64>, String> {
        match cells {
            Cells::F32(cells) => cells.into_iter().map(|cell| self.at_float(cell.into())).collect(),
            Cells::F64(cells) => cells.into_iter().map(|cell| self.at_float(cell)).collect(),
            _ => Err("not floats".into()),
        }
    }

    fn at(self, count: i128) -> Result<i64, String> {
        if count == i128::from(NAT) {
            return Ok(NAT);
        }
        count.checked_mul(self.unit.into()).and_then(|elapsed| self.moment(elapsed)).ok_or_else(|| outside(count))
    }

    /// Fractions of a nanosecond are cut, as xarray does; and where the reference itself is out of range, whole
    /// units and the rest are taken apart, and the rest is rounded to microseconds, which is how cftime counts.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "checked to be in range")]
    fn at_float(self, count: f64) -> Result<i64, String> {
        if count.is_nan() {
            return Ok(NAT);
        }
        let elapsed = count * self.unit as f64;
        if elapsed.abs() > 1e20 {
            return Err(outside(count));
        }
        let elapsed = if i64::try_from(self.reference).is_ok() {
            elapsed as i128
        } else {
            let rest = count.fract() * self.unit as f64 / 1e3;
            count.trunc() as i128 * i128::from(self.unit) + rest.round_ties_even() as i128 * 1_000
        };
        self.moment(elapsed).ok_or_else(|| outside(count))
    }

    fn moment(self, elapsed: i128) -> Option<i64> {
        i64::try_from(self.reference + elapsed).ok().filter(|moment| *moment != NAT)
    }
}

fn outside(count: impl std::fmt::Display) -> String {
    format!("the time stored as {count} is outside the years 1677 to 2262")
}

/// Nanoseconds of a unit of time that times are told in.
///
/// # Source
/// The units that xarray's `open_dataset` decodes. Months and years have no fixed length; weeks have one, but xarray
/// decodes no times in them.
fn nanoseconds_of(unit: &str) -> Option<i64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "nanosecond" | "nanoseconds" => 1,
        "microsecond" | "microseconds" | "microsec" | "microsecs" => 1_000,
        "millisecond" | "milliseconds" | "millisec" | "millisecs" | "msec" | "msecs" | "ms" => 1_000_000,
        "second" | "seconds" | "sec" | "secs" | "s" => 1_000_000_000,
        "minute" | "minutes" | "min" | "mins" => 60_000_000_000,
        "hour" | "hours" | "hr" | "hrs" | "h" => 3_600_000_000_000,
        "day" | "days" | "d" => 86_400_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn integers_and_floats_agree() {
        let clock = Clock::parse("days since 1970-01-01", "gregorian").unwrap();
        let mask = Mask::default();
        assert_eq!(
            clock.tell_integers(Cells::I16(vec![1, -1]), &mask),
            Ok(vec![86_400_000_000_000, -86_400_000_000_000])
        );
        assert_eq!(clock.tell_floats(Cells::F64(vec![0.5, f64::NAN])), Ok(vec![43_200_000_000_000, NAT]));
        assert!(clock.tell_integers(Cells::I32(vec![200_000]), &mask).is_err());
        assert!(clock.tell_floats(Cells::F64(vec![f64::INFINITY])).is_err());
    }

    #[test]
    fn a_reference_before_the_range_is_fine_for_times_within_it() {
        let clock = Clock::parse("hours since 1-1-1 00:00:0.0", "standard").unwrap();
        // 1948-01-01 in the NCEP reanalysis.
        assert_eq!(clock.tell_floats(Cells::F64(vec![17_067_072.0])), Ok(vec![-694_310_400_000_000_000]));
    }

    #[test]
    fn what_is_not_gregorian_or_not_understood_is_refused() {
        assert!(Clock::parse("days since 2000-01-01", "360_day").unwrap_err().contains("360_day"));
        assert!(Clock::parse("months since 2000-01-01", "standard").unwrap_err().contains("months"));
        assert!(Clock::parse("weeks since 2000-01-01", "standard").unwrap_err().contains("\"weeks\" is not one"));
        assert!(Clock::parse("days since whenever", "standard").unwrap_err().contains("whenever"));
        assert!(Clock::parse("dayssince 2000-01-01", "standard").is_err());
    }
}
