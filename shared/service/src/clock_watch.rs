//! Notices that somebody set the wall clock, in which tokens are dated. Pure.

use std::time::{Duration, Instant, SystemTime};

/// Compares the two clocks.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    before: (Instant, SystemTime),
}

impl ClockWatch {
    pub(crate) fn new(now: Instant, wall: SystemTime) -> Self {
        Self {
            before: (now, wall),
        }
    }

    /// Returns by how many milliseconds the wall clock was set, negative for back, if it was since the last look.
    pub(crate) fn look(&mut self, now: Instant, wall: SystemTime) -> Option<i64> {
        let (then, wall_then) = std::mem::replace(&mut self.before, (now, wall));
        let expected = wall_then + now.saturating_duration_since(then);
        let (step, ahead) = match wall.duration_since(expected) {
            Ok(ahead) => (ahead, true),
            Err(error) => (error.duration(), false),
        };
        let milliseconds = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        (step >= LEAST_STEP).then_some(if ahead { milliseconds } else { -milliseconds })
    }
}

/// A clock that is steered drifts by far less between two looks; access tokens have five seconds of grace.
const LEAST_STEP: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_bus::{Clock as _, SystemClock};

    #[test]
    fn steps_are_noticed_once_and_drift_is_not() {
        let (now, wall) = (SystemClock.now(), SystemClock.wall());
        let mut watch = ClockWatch::new(now, wall);
        let second = Duration::from_secs(1);
        assert_eq!(watch.look(now + second, wall + second * 101 / 100), None);
        assert_eq!(watch.look(now + 2 * second, wall + 12 * second), Some(9990));
        assert_eq!(watch.look(now + 3 * second, wall + 13 * second), None);
        assert_eq!(watch.look(now + 4 * second, wall), Some(-14_000));
    }
}
