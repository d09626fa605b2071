//! What was learnt from answers, for a day and within bounds. Pure: time is handed in.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Values by key that are forgotten a day after they were learnt (spec: microbus-wire 5.3, 5.4).
pub(super) struct Memory<T> {
    entries: HashMap<String, Remembered<T>>,
}

struct Remembered<T> {
    value: T,
    until: Instant,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
        }
    }
}

impl<T: Clone> Memory<T> {
    pub(super) fn recall(&self, key: &str, now: Instant) -> Option<T> {
        let remembered = self.entries.get(key)?;
        (now < remembered.until).then(|| remembered.value.clone())
    }

    /// Learns a value. Where there is no room what is outdated goes first, and if that is nothing the value is not learnt.
    pub(super) fn remember(&mut self, key: String, value: T, now: Instant) {
        if self.entries.len() >= MOST {
            self.entries.retain(|_, remembered| now < remembered.until);
        }
        if self.entries.len() < MOST || self.entries.contains_key(&key) {
            let until = now + A_DAY;
            self.entries.insert(key, Remembered { value, until });
        }
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// Forgets what `gone` chooses by its key.
    pub(super) fn forget_where(&mut self, gone: impl Fn(&str) -> bool) {
        self.entries.retain(|key, _| !gone(key));
    }
}

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MOST: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can only be got by reading one"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_value_is_remembered_for_a_day() {
        let now = start();
        let mut memory = Memory::default();
        memory.remember("a".to_owned(), 1, now);
        let last = now + A_DAY - Duration::from_nanos(1);
        assert_eq!(memory.recall("a", last), Some(1));
        assert_eq!(memory.recall("a", now + A_DAY), None);
        assert_eq!(memory.recall("b", now), None);
    }

    #[test]
    fn when_it_is_full_only_what_is_outdated_makes_room() {
        let now = start();
        let mut memory = Memory::default();
        for number in 0..MOST {
            memory.remember(number.to_string(), number, now);
        }
        memory.remember("new".to_owned(), 0, now);
        assert_eq!(memory.recall("new", now), None);
        memory.remember("7".to_owned(), 70, now);
        assert_eq!(memory.recall("7", now), Some(70));
        memory.remember("new".to_owned(), 0, now + A_DAY);
        assert_eq!(memory.recall("new", now + A_DAY), Some(0));
        assert_eq!(memory.entries.len(), 1);
    }
}
