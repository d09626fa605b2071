//! How long a caller waits.

use std::time::Duration;

use crate::duration;

/// The time that a caller waits for its answer: positive, at most 292 years before it is capped.
///
/// It is a span, never a point in time: whoever receives it computes the deadline on the spot.
/// spec: microbus-wire 3.5, 4 step 8
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeBudget(Duration);

impl TimeBudget {
    /// What a request without a budget gets.
    pub const DEFAULT: Self = Self(Duration::from_secs(20));

    /// The most that any request gets.
    pub const MAX: Self = Self(Duration::from_secs(15 * 60));

    /// Returns a budget, `None` for zero.
    pub fn new(time: Duration) -> Option<Self> {
        (!time.is_zero()).then_some(Self(time))
    }

    /// Reads the header `Microbus-Time-Budget`: Go duration text, or a bare integer of milliseconds.
    ///
    /// What is absent, zero, negative, malformed or too large is `None`: the peer lets a huge integer wrap around into a
    /// tiny budget, which we do not copy. spec: microbus-wire 15.1
    pub fn from_header(value: Option<&str>) -> Option<Self> {
        let value = value?;
        let time = match value.parse::<i64>() {
            Ok(milliseconds) => {
                let nanoseconds = milliseconds.checked_mul(1_000_000)?;
                Duration::from_nanos(u64::try_from(nanoseconds).ok()?)
            }
            Err(_) => Duration::from_nanos(u64::try_from(duration::parse(value).ok()?).ok()?),
        };
        Self::new(time)
    }

    /// Returns the budget that counts for a request: 20 s if it has none, never more than 15 min.
    pub fn effective(header: Option<Self>) -> Self {
        header.unwrap_or(Self::DEFAULT).min(Self::MAX)
    }

    /// Tells whether an answer can still reach the caller, that is, whether the budget is longer than a round trip.
    pub fn covers(self, round_trip: Duration) -> bool {
        self.0 > round_trip
    }

    /// Returns the span.
    pub fn as_duration(self) -> Duration {
        self.0
    }

    /// Returns the value of the header, for example `19.899934853s`.
    pub fn header_text(self) -> String {
        duration::format(self.0)
    }
}

/// The round trip that is assumed within one process, without a broker. spec: microbus-wire 1.4
pub const IN_PROCESS_ROUND_TRIP: Duration = Duration::from_millis(10);

/// Returns the estimate of a round trip through the broker, from a measured PING and the number of known servers.
///
/// With more than one server the next one may be slower, so it is 300 ms; without a measurement it is 250 ms; else it
/// is twice the measurement, rounded up to 100 ms with a margin. spec: microbus-wire 1.4
pub fn network_round_trip(measured: Option<Duration>, servers: usize) -> Duration {
    if servers > 1 {
        return Duration::from_millis(300);
    }
    let Some(measured) = measured else {
        return Duration::from_millis(250);
    };
    let padded = measured
        .saturating_mul(2)
        .saturating_add(Duration::from_millis(149));
    let hundreds = u64::try_from(padded.as_millis() / 100).unwrap_or(u64::MAX);
    Duration::from_millis(hundreds.saturating_mul(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(header: &str) -> Option<u128> {
        TimeBudget::from_header(Some(header)).map(|budget| budget.as_duration().as_millis())
    }

    #[test]
    fn a_header_is_a_duration_or_an_integer_of_milliseconds() {
        for (header, expected) in [
            ("20s", Some(20_000)),
            ("5000", Some(5_000)),
            ("+7", Some(7)),
            ("1.5s", Some(1_500)),
            ("3m20.5s", Some(200_500)),
            ("100h", Some(360_000_000)),
            ("0", None),
            ("0s", None),
            ("-5s", None),
            ("-1", None),
            ("garbage", None),
            ("", None),
            ("3000000h", None),
            ("9223372036854775807", None),
            ("99999999999999999999", None),
            ("18446744073709", None),
        ] {
            assert_eq!(milliseconds(header), expected, "{header}");
        }
        assert_eq!(TimeBudget::from_header(None), None);
    }

    #[test]
    fn the_effective_budget_is_never_missing_and_never_above_the_cap() {
        assert_eq!(TimeBudget::effective(None), TimeBudget::DEFAULT);
        assert_eq!(
            TimeBudget::effective(TimeBudget::from_header(Some("100h"))),
            TimeBudget::MAX
        );
        assert_eq!(
            TimeBudget::effective(TimeBudget::from_header(Some("5s"))).header_text(),
            "5s"
        );
    }

    #[test]
    fn a_budget_of_exactly_one_round_trip_does_not_cover_it() {
        let round_trip = Duration::from_millis(100);
        for (header, covers) in [("100ms", false), ("101ms", true), ("20", false)] {
            assert_eq!(
                TimeBudget::from_header(Some(header))
                    .unwrap()
                    .covers(round_trip),
                covers,
                "{header}"
            );
        }
    }

    #[test]
    fn the_round_trip_is_estimated_in_steps() {
        for (microseconds, expected) in [
            (0, 100),
            (25_499, 100),
            (25_500, 200),
            (75_499, 200),
            (75_500, 300),
        ] {
            let measured = Some(Duration::from_micros(microseconds));
            assert_eq!(
                network_round_trip(measured, 1).as_millis(),
                expected,
                "{microseconds}"
            );
        }
        assert_eq!(network_round_trip(None, 1).as_millis(), 250);
        assert_eq!(network_round_trip(Some(Duration::ZERO), 2).as_millis(), 300);
    }
}
