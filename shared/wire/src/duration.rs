//! Durations as text, in the grammar and with the printing of Go: `1m59.99s`, `150ms`, `1.5h`.

use std::time::Duration;

use thiserror::Error;

/// Returns a duration in nanoseconds, which may be negative.
///
/// Grammar: an optional sign, then `0`, or one or more of a decimal number (a fraction is allowed) and a unit of
/// `ns`, `us`, `µs`, `μs`, `ms`, `s`, `m`, `h`. spec: microbus-wire 3.5
///
/// # Errors
/// [`DurationError`] if the text is malformed or does not fit into 63 bits of nanoseconds.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(DurationError::Malformed);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (nanoseconds, after) = term(rest)?;
        total = total
            .checked_add(nanoseconds)
            .ok_or(DurationError::Overflow)?;
        rest = after;
    }
    if negative {
        0i64.checked_sub_unsigned(total)
            .ok_or(DurationError::Overflow)
    } else {
        i64::try_from(total).map_err(|_| DurationError::Overflow)
    }
}

/// Returns a duration as Go prints it, for example `20s`, `1m0s`, `19.899934853s`, `250ms`.
///
/// What does not fit into 63 bits of nanoseconds (292 years) prints as the largest that does.
pub fn format(duration: Duration) -> String {
    let nanoseconds =
        i64::try_from(duration.as_nanos()).map_or(i64::MAX.unsigned_abs(), i64::unsigned_abs);
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(nanoseconds, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimal(nanoseconds, 1_000_000)),
        _ => {
            let minutes = nanoseconds / NANOSECONDS_PER_MINUTE;
            let seconds = decimal(nanoseconds % NANOSECONDS_PER_MINUTE, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Not in the grammar.
    #[error("the duration is malformed; write numbers with units, as in 1m30s or 250ms")]
    Malformed,
    /// A number without a unit, or an unknown unit.
    #[error(
        "the duration lacks a unit or has an unknown one; the units are ns, us, ms, s, m and h"
    )]
    Unit,
    /// More than about 292 years.
    #[error("the duration is longer than 292 years")]
    Overflow,
}

/// Reads one number with its unit; returns nanoseconds and the rest of the text.
fn term(text: &str) -> Result<(u64, &str), DurationError> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Malformed);
    }
    let unit_end = rest
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(unit_end).unwrap_or((rest, ""));
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => NANOSECONDS_PER_MINUTE,
        "h" => NANOSECONDS_PER_HOUR,
        _ => return Err(DurationError::Unit),
    };
    let whole: u64 = match whole {
        "" => 0,
        digits => digits.parse().map_err(|_| DurationError::Overflow)?,
    };
    let nanoseconds = whole
        .checked_mul(unit)
        .and_then(|nanoseconds| nanoseconds.checked_add(fraction_of(fraction, unit)))
        .filter(|nanoseconds| *nanoseconds <= LARGEST)
        .ok_or(DurationError::Overflow)?;
    Ok((nanoseconds, rest))
}

/// Returns the nanoseconds of `0.fraction` units, through floating point as the peer does, so that rounding agrees.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the result lies between 0 and the nanoseconds of one hour; the loss is the peer's too"
)]
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let mut value: u64 = 0;
    let mut scale: f64 = 1.0;
    for digit in digits.bytes() {
        let next = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit.wrapping_sub(b'0'))));
        match next {
            Some(next) if next <= LARGEST => value = next,
            // Digits beyond 63 bits are far below a nanosecond.
            _ => break,
        }
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Prints `value / unit` with the fraction's trailing zeros removed; `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let whole = value.checked_div(unit).unwrap_or_default();
    match value.checked_rem(unit).unwrap_or_default() {
        0 => whole.to_string(),
        fraction => {
            let width = usize::try_from(unit.ilog10()).unwrap_or_default();
            let digits = format!("{fraction:0width$}");
            format!("{whole}.{}", digits.trim_end_matches('0'))
        }
    }
}

const NANOSECONDS_PER_MINUTE: u64 = 60_000_000_000;
const NANOSECONDS_PER_HOUR: u64 = 3_600_000_000_000;
/// The magnitude of the smallest signed duration.
const LARGEST: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_read_as_go_reads_it() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("-0", 0),
            ("0s", 0),
            ("20s", 20_000_000_000),
            ("+1.5s", 1_500_000_000),
            ("-5s", -5_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("3m20.5s", 200_500_000_000),
            ("19.899934853s", 19_899_934_853),
            ("1h1m1s1ms1us1ns", 3_661_001_001_001),
            ("1µs", 1_000),
            ("1μs", 1_000),
            ("1.0000000000000000000000001s", 1_000_000_000),
            ("0.3333333333333333333h", 1_200_000_000_000),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
            ("9223372036s", 9_223_372_036_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(nanoseconds), "{text}");
        }
    }

    #[test]
    fn text_that_go_refuses_is_refused() {
        for text in [
            "", "-", "+", ".", ".s", "s", "5", "1", "1x", "1 s", " 1s", "1s ", "--1s", "1.2.3s",
            "1e3s", "1S", "00", "é",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        for text in [
            "9223372036854775808ns",
            "9223372037s",
            "3000000h",
            "99999999999999999999999s",
            "-9223372036854775809ns",
        ] {
            assert_eq!(parse(text), Err(DurationError::Overflow), "{text}");
        }
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (250_000_000, "250ms"),
            (3_300_000_000, "3.3s"),
            (20_000_000_000, "20s"),
            (60_000_000_000, "1m0s"),
            (119_990_000_000, "1m59.99s"),
            (3_600_000_000_000, "1h0m0s"),
            (900_000_000_000, "15m0s"),
            (245_000_000_000 + 1_000_000, "4m5.001s"),
            (i64::MAX.unsigned_abs(), "2562047h47m16.854775807s"),
        ] {
            assert_eq!(format(Duration::from_nanos(nanoseconds)), text);
        }
        assert_eq!(format(Duration::MAX), "2562047h47m16.854775807s");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(nanoseconds in 0..=i64::MAX) {
            // Beyond nine digits of whole seconds the peer's floating point is exact too, since fractions are below 1 s.
            let text = format(Duration::from_nanos(nanoseconds.unsigned_abs()));
            prop_assert_eq!(parse(&text), Ok(nanoseconds));
        }
    }
}
