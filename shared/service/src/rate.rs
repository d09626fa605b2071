//! How often something may happen. Pure.

use std::time::{Duration, Instant};

/// At most so many at once, and one per interval in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) interval: Duration,
    pub(crate) burst: u32,
}

/// What is left of a [`Limit`]. The default is a full one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowance {
    /// When the whole burst will be free again.
    full_from: Option<Instant>,
}

impl Limit {
    /// Allows so many per second, and as many at once; zero is no limit.
    pub(crate) fn per_second(count: u64) -> Option<Self> {
        let burst = u32::try_from(count).unwrap_or(u32::MAX);
        Some(Self {
            interval: Duration::from_secs(1).checked_div(burst)?,
            burst,
        })
    }
}

impl Allowance {
    /// Tells whether it may happen now, and takes note that it does.
    pub(crate) fn take(&mut self, limit: Limit, now: Instant) -> bool {
        let full_from = self.full_from.map_or(now, |full_from| full_from.max(now));
        let next = full_from + limit.interval;
        let allowed =
            next.saturating_duration_since(now) <= limit.interval.saturating_mul(limit.burst);
        if allowed {
            self.full_from = Some(next);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_bus::{Clock as _, SystemClock};

    #[test]
    fn a_burst_is_allowed_and_then_one_per_interval() {
        let limit = Limit::per_second(4).unwrap();
        let (mut allowance, now) = (Allowance::default(), SystemClock.now());
        let allowed =
            |allowance: &mut Allowance, at| (0..10).filter(|_| allowance.take(limit, at)).count();
        assert_eq!(allowed(&mut allowance, now), 4);
        let quarter = Duration::from_millis(250);
        assert_eq!(allowed(&mut allowance, now + quarter), 1);
        assert_eq!(allowed(&mut allowance, now + 3 * quarter), 2);
        assert_eq!(allowed(&mut allowance, now + 100 * quarter), 4);
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(Limit::per_second(0), None);
    }
}
