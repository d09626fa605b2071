//! The one place that reads time.

use std::time::{Instant, SystemTime};

/// A source of both times: monotonic time drives intervals, wall time only stamps claims.
pub trait Clock: Send + Sync + 'static {
    /// Returns monotonic time: never steps, means nothing outside this process.
    fn now(&self) -> Instant;
    /// Returns wall time: may step at any moment.
    fn wall(&self) -> SystemTime;
}

/// The clocks of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        // The runtime's own time, so that a test can pause it together with the timers.
        tokio::time::Instant::now().into_std()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads wall time"
    )]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that stands still until it is moved.
#[cfg(any(test, feature = "testing"))]
#[derive(Debug)]
pub struct FakeClock {
    times: std::sync::Mutex<(Instant, SystemTime)>,
}

#[cfg(any(test, feature = "testing"))]
impl FakeClock {
    /// Makes a clock whose wall time is `wall`.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can only be got by reading one"
    )]
    pub fn at(wall: SystemTime) -> Self {
        Self {
            times: std::sync::Mutex::new((Instant::now(), wall)),
        }
    }

    /// Moves both times forward.
    pub fn advance(&self, by: std::time::Duration) {
        let mut times = self.lock();
        times.0 += by;
        times.1 += by;
    }

    /// Steps wall time alone, as an administrator or a time server may do.
    pub fn step_wall(&self, to: SystemTime) {
        self.lock().1 = to;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Instant, SystemTime)> {
        self.times
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(any(test, feature = "testing"))]
impl Clock for FakeClock {
    fn now(&self) -> Instant {
        self.lock().0
    }

    fn wall(&self) -> SystemTime {
        self.lock().1
    }
}
