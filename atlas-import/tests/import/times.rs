//! `units: <unit> since <reference>`.

use crate::writer::Values::{Double, Float, Int, Int64, Short};
use crate::writer::{Values, Writer};
use atlas_store::{DType, Scalar};

fn times(values: Values, units: &str, attributes: &[(&str, Values)]) -> crate::imported::Imported {
    let mut attributes = attributes.to_vec();
    attributes.push(("units", units.into()));
    Writer::new(5).dim("time", 2).variable("time", &["time"], values, &attributes).import()
}

#[test]
fn integers_and_floats_become_timestamps() {
    let day = 86_400;
    for values in [Short(vec![1, 2]), Int(vec![1, 2]), Int64(vec![1, 2]), Float(vec![1.0, 2.0]), Double(vec![1.0, 2.0])]
    {
        let file = times(values, "days since 1970-01-01 00:00:00", &[("calendar", "standard".into())]);
        assert_eq!(file.schema("time").dtype, DType::TimestampNanoseconds);
        assert_eq!(file.seconds("time"), [Some(day), Some(2 * day)]);
        assert_eq!(file.attribute("time.units"), None);
        assert_eq!(file.attribute("time.calendar"), None);
    }
}

#[test]
fn fill_values_are_not_times_and_null() {
    for values in [Int(vec![5, -1]), Double(vec![5.0, -1.0])] {
        let fill = match values {
            Int(_) => Int(vec![-1]),
            _ => Double(vec![-1.0]),
        };
        let file = times(values, "seconds since 1970-01-01", &[("_FillValue", fill)]);
        assert_eq!(file.seconds("time"), [Some(5), None]);
        assert_eq!(file.fill("time"), Some(Scalar::Timestamp(i64::MIN)));
        assert_eq!(file.statistics("time").null_count, 1);
    }
}

#[test]
fn fractions_of_a_nanosecond_are_cut() {
    let file = times(Double(vec![1.7, -1.7]), "nanoseconds since 1970-01-01", &[]);
    assert_eq!(file.numbers::<i64>("time"), [1, -1]);
    // The time of a real Argo profile, and what xarray makes of it.
    let file = times(Double(vec![17_376.835_416_691_552, 0.0]), "days since 1950-01-01 00:00:00 UTC", &[]);
    assert_eq!(file.numbers::<i64>("time")[0], 870_206_580_002_150_144);
}

#[test]
fn scaled_times_are_scaled_first() {
    let file = times(Short(vec![2, 4]), "hours since 1970-01-01", &[("scale_factor", Double(vec![0.5]))]);
    assert_eq!(file.seconds("time"), [Some(3_600), Some(7_200)]);
}

#[test]
fn bounds_are_told_by_the_clock_of_their_times() {
    let clock = [("units", Values::from("days since 1970-01-01")), ("bounds", "time_bounds".into())];
    let file = Writer::new(1)
        .dim("time", 1)
        .dim("two", 2)
        .variable("time", &["time"], Int(vec![1]), &clock)
        .variable("time_bounds", &["time", "two"], Int(vec![0, 2]), &[])
        .import();
    assert_eq!(file.seconds("time_bounds"), [Some(0), Some(172_800)]);
    assert_eq!(file.attribute("time.bounds"), Some("time_bounds".into()));
}

#[test]
fn times_that_do_not_fit_stay_numbers_and_are_noted() {
    for (units, calendar, why) in [
        ("days since 2000-01-01", "noleap", "noleap"),
        ("days since 2000-01-01", "360_day", "360_day"),
        ("days since 1000-01-01", "standard", "the time stored as 0 is outside the years 1677 to 2262"),
        ("months since 2000-01-01", "standard", "months"),
        ("weeks since 2000-01-01", "standard", "unit \"weeks\" is not one from nanoseconds to days"),
        ("days since the flood", "standard", "the flood"),
    ] {
        let file = times(Double(vec![0.0, 1.0]), units, &[("calendar", calendar.into())]);
        assert_eq!(file.numbers::<f64>("time"), [0.0, 1.0]);
        assert_eq!(file.attribute("time.units"), Some(units.into()));
        assert_eq!(file.attribute("time.calendar"), Some(calendar.into()));
        let remarks = file.remarks();
        assert!(remarks.len() == 1 && remarks[0].contains(why), "{remarks:?}");
    }
}

#[test]
fn durations_stay_numbers() {
    let file = times(Int(vec![1, 2]), "days", &[]);
    assert_eq!(file.numbers::<i32>("time"), [1, 2]);
    assert_eq!(file.attribute("time.units"), Some("days".into()));
    assert!(file.remarks().is_empty());
}
