//! Nanosecond timestamps as text.

/// `2023-11-14T22:13:20Z`, with as many fraction digits (3, 6 or 9) as the value needs; `NaT` for `i64::MIN`.
///
/// # Source
/// The civil calendar from a day number: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
pub fn to_text(nanoseconds: i64) -> String {
    if nanoseconds == i64::MIN {
        return "NaT".into();
    }
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    let fraction = nanoseconds.rem_euclid(1_000_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        let keep = if digits.ends_with("000000") {
            3
        } else if digits.ends_with("000") {
            6
        } else {
            9
        };
        text.push('.');
        text.push_str(&digits[..keep]);
    }
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use super::to_text;

    #[test]
    fn known_instants() {
        assert_eq!(to_text(0), "1970-01-01T00:00:00Z");
        assert_eq!(to_text(1_700_000_000_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(to_text(951_782_400_123_000_000), "2000-02-29T00:00:00.123Z");
        assert_eq!(to_text(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(to_text(i64::MIN), "NaT");
    }
}
