//! The reference of CF times: `2000-1-1 12:00`, in several spellings, as nanoseconds since 1970.

/// The first day of the Gregorian calendar, as (year, month, day), and the last of the Julian one.
const FIRST_GREGORIAN: (i64, i64, i64) = (1582, 10, 15);
const LAST_JULIAN: (i64, i64, i64) = (1582, 10, 4);

const SECOND: i128 = 1_000_000_000;

/// Nanoseconds from 1970-01-01T00:00:00Z to the moment that `text` names.
///
/// `proleptic` is whether the Gregorian calendar holds for all time; else the Julian one holds before 1582-10-15.
/// Understands `Y-M-D`, `YYYYMMDD`, `Y-M` and `YYYY`, then a blank or `T` and `h`, `h:m`, `h:m:s` or
/// `hhmm[ss]`, with fractions of a second, then `Z`, `UTC`, `GMT` or an offset such as `-6:00`, `+0530` or `+05`.
pub(super) fn nanoseconds(text: &str, proleptic: bool) -> Option<i128> {
    let text = text.trim();
    let (date, rest) = match text.find([' ', 'T', 't']) {
        Some(at) => (&text[..at], text[at + 1..].trim_start()),
        None => (text.strip_suffix(['Z', 'z']).unwrap_or(text), ""),
    };
    let days = days(parse_date(date)?, proleptic)?;
    let (time, zone) = split_zone(rest);
    Some((i128::from(days) * 86_400 - i128::from(parse_zone(zone)?)) * SECOND + parse_time(time.trim())?)
}

fn number(digits: &str) -> Option<i64> {
    (!digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

fn parse_date(text: &str) -> Option<(i64, i64, i64)> {
    let parts = text.split(['-', '/']).collect::<Vec<_>>();
    match parts.as_slice() {
        [compact] if compact.len() == 8 => {
            Some((number(compact.get(..4)?)?, number(compact.get(4..6)?)?, number(compact.get(6..)?)?))
        }
        [year] if year.len() == 4 => Some((number(year)?, 1, 1)),
        [year, month] => Some((number(year)?, number(month)?, 1)),
        [year, month, day] => Some((number(year)?, number(month)?, number(day)?)),
        _ => None,
    }
}

/// The day number of a date that exists.
fn days((year, month, day): (i64, i64, i64), proleptic: bool) -> Option<i64> {
    let julian = !proleptic && (year, month, day) < FIRST_GREGORIAN;
    if julian && (year, month, day) > LAST_JULIAN {
        return None;
    }
    let leap = year % 4 == 0 && (julian || year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // Calendars with a year 0 and without one differ; nobody means it.
    if !(1..=99_999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let since_march = 365 * year + year.div_euclid(4) + (153 * month + 2) / 5 + day - 1;
    Some(if julian {
        since_march - 719_470
    } else {
        since_march - year.div_euclid(100) + year.div_euclid(400) - 719_468
    })
}

/// The time of day and the zone behind it.
fn split_zone(text: &str) -> (&str, &str) {
    let at = text.find(|letter: char| !letter.is_ascii_digit() && !matches!(letter, ':' | '.')).unwrap_or(text.len());
    text.split_at(at)
}

fn parse_time(text: &str) -> Option<i128> {
    if text.is_empty() {
        return Some(0);
    }
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts = clock.split(':').collect::<Vec<_>>();
    let (hour, minute, second) = match parts.as_slice() {
        [compact] if compact.len() == 4 || compact.len() == 6 => {
            (compact.get(..2)?, compact.get(2..4)?, compact.get(4..).filter(|rest| !rest.is_empty()).unwrap_or("0"))
        }
        [hour] => (*hour, "0", "0"),
        [hour, minute] => (*hour, *minute, "0"),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return None,
    };
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanoseconds = if fraction.is_empty() { 0 } else { number(format!("{fraction:0<9}").get(..9)?)? };
    Some(i128::from(hour * 3_600 + minute * 60 + second) * SECOND + i128::from(nanoseconds))
}

/// Seconds that a zone is ahead of UTC.
fn parse_zone(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() || ["Z", "UTC", "GMT"].iter().any(|utc| utc.eq_ignore_ascii_case(text)) {
        return Some(0);
    }
    let (sign, offset) = match text.split_at_checked(1)? {
        ("+", offset) => (1, offset),
        ("-", offset) => (-1, offset),
        _ => return None,
    };
    let (hours, minutes) = match offset.split_once(':') {
        Some((hours, minutes)) => (number(hours)?, number(minutes)?),
        None if offset.len() == 4 => (number(&offset[..2])?, number(&offset[2..])?),
        None => (number(offset)?, 0),
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i128> {
        nanoseconds(text, false).map(|nanoseconds| nanoseconds / SECOND)
    }

    #[test]
    fn spellings_of_one_moment_agree() {
        for text in [
            "1970-01-02 00:00:00",
            "1970-1-2",
            "1970-01-02T00:00:00Z",
            "1970-01-02 00:00:0.0",
            "19700102",
            "19700102T000000",
            "1970-01-02 00:00 UTC",
            "1970-01-01 18:00:00 -6:00",
            "1970-01-02 05:30:00 +0530",
            "1970-01-02T01:00:00+01",
        ] {
            assert_eq!(seconds(text), Some(86_400), "{text}");
        }
        assert_eq!(nanoseconds("1970-01-01 00:00:00.25", false), Some(250_000_000));
        assert_eq!(seconds("2000"), Some(946_684_800));
        assert_eq!(seconds("1950-01-01 00:00:00 UTC"), Some(-631_152_000));
    }

    #[test]
    fn the_julian_calendar_holds_before_the_reform_unless_proleptic() {
        let day = 86_400 * SECOND;
        assert_eq!(nanoseconds("1582-10-15", false), nanoseconds("1582-10-15", true));
        assert_eq!(
            nanoseconds("1582-10-15", false).zip(nanoseconds("1582-10-04", false)).map(|(a, b)| a - b),
            Some(day)
        );
        assert_eq!(nanoseconds("1-1-1", true).zip(nanoseconds("1-1-1", false)).map(|(a, b)| a - b), Some(2 * day));
        assert_eq!(nanoseconds("1-1-1", true), Some(-62_135_596_800 * SECOND));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in
            ["", "x", "1582-10-10", "2000-13-01", "2001-02-29", "0000-01-01", "2000-01-01 25:00", "2000-01-01 é"]
        {
            assert_eq!(nanoseconds(text, false), None, "{text}");
        }
    }
}
