//! Dates and spans as operators read and write them. Pure: what time it is comes in as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns a Unix time as RFC 3339 in UTC, such as `2026-11-25T14:00:00Z`; beyond the year 9999 as the number.
#[must_use]
pub fn text(seconds: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok();
    let text = date.and_then(|date| date.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{seconds} s since 1970"))
}

/// Reads a date in RFC 3339, or seconds since 1970, as a Unix time.
///
/// # Errors
/// A sentence for the operator, who typed it.
pub fn parse(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .map(OffsetDateTime::unix_timestamp)
        .map_err(|_| "no date; write 2026-11-25T14:00:00Z, or the seconds since 1970".to_owned())
}

/// Returns `time` in whole seconds since 1970, 0 before that.
#[must_use]
pub fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Returns the moment of a Unix time; 1970 for one before that.
#[must_use]
pub fn moment(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Returns the length of a span without its sign, in its two largest units: `3 d 4 h`, `2 min 5 s`, `0 s`.
#[must_use]
pub fn span(seconds: i64) -> String {
    let seconds = seconds.unsigned_abs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, minutes) => format!("{minutes} min {rest} s"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(text(1_800_000_000), "2027-01-15T08:00:00Z");
        for seconds in [0, 1_800_000_000, 253_402_300_799] {
            assert_eq!(parse(&text(seconds)), Ok(seconds));
            assert_eq!(parse(&seconds.to_string()), Ok(seconds));
        }
        assert_eq!(parse("2027-01-15T09:00:00+01:00"), Ok(1_800_000_000));
    }

    #[test]
    fn a_year_that_rfc_3339_cannot_write_is_a_number() {
        assert_eq!(text(1 << 50), "1125899906842624 s since 1970");
    }

    #[test]
    fn what_is_no_date_is_refused_with_an_example() {
        for bad in ["", "yesterday", "2027-01-15", "2027-01-15 08:00"] {
            assert!(parse(bad).unwrap_err().contains("2026-11-25T14:00:00Z"));
        }
    }

    #[test]
    fn spans_are_rounded_down_to_two_units() {
        for (seconds, wanted) in [
            (0, "0 s"),
            (-5, "5 s"),
            (125, "2 min 5 s"),
            (3_600, "1 h 0 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(span(seconds), wanted);
        }
    }
}
