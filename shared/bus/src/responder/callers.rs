//! Who asks, and where its answers go: made once for each instance that asks, and kept while it asks.
//!
//! A table of fixed size, in which an instance has one place. Two that share it displace each other, which costs them what
//! the table saves, and nothing else.

use async_nats::Subject;
use std::sync::Arc;

/// An instance that asks.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Its host, as it stands in subjects of its requests.
    segment: Box<str>,
    /// Its instance ID, as it wrote it.
    instance: Box<str>,
    /// Its host, as the broker vouches for it.
    pub(crate) host: Box<str>,
    /// Subject of what is sent to it.
    pub(crate) reply_to: Subject,
}

impl Caller {
    pub(crate) fn new(segment: &str, instance: &str, host: &str, reply_to: String) -> Self {
        Self {
            segment: segment.into(),
            instance: instance.into(),
            host: host.into(),
            reply_to: reply_to.into(),
        }
    }

    fn is(&self, segment: &str, instance: &str) -> bool {
        *self.instance == *instance && *self.segment == *segment
    }
}

/// The instances that asked lately.
pub(super) struct Callers {
    places: Vec<Option<Arc<Caller>>>,
}

impl Callers {
    pub(super) fn new() -> Self {
        Self {
            places: vec![None; PLACES],
        }
    }

    /// Returns the caller with this segment and instance ID; `make` makes it if it did not ask lately.
    pub(super) fn meet<E>(
        &mut self,
        segment: &str,
        instance: &str,
        make: impl FnOnce() -> Result<Caller, E>,
    ) -> Result<Arc<Caller>, E> {
        let place = self.places.get_mut(place_of(instance));
        if let Some(Some(caller)) = &place
            && caller.is(segment, instance)
        {
            return Ok(Arc::clone(caller));
        }
        let caller = Arc::new(make()?);
        if let Some(place) = place {
            *place = Some(Arc::clone(&caller));
        }
        Ok(caller)
    }
}

/// Instance IDs are random: a few of their characters tell them apart.
fn place_of(instance: &str) -> usize {
    let last = instance.bytes().rev().take(6);
    let mixed = last.fold(0_usize, |mixed, byte| {
        mixed.wrapping_mul(37).wrapping_add(usize::from(byte))
    });
    mixed % PLACES
}

/// More than the instances that ask an issuer, mostly; a power of two.
const PLACES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(callers: &mut Callers, segment: &str, instance: &str) -> (Arc<Caller>, bool) {
        let mut made = false;
        let caller = callers.meet(segment, instance, || {
            made = true;
            Ok::<_, ()>(Caller::new(segment, instance, "host", String::new()))
        });
        (caller.unwrap(), made)
    }

    #[test]
    fn a_caller_is_made_once_and_never_taken_for_another() {
        let mut callers = Callers::new();
        let (first, made) = meet(&mut callers, "a_b", "id-aaaaaaaaaa");
        assert!(made);
        let (again, made) = meet(&mut callers, "a_b", "id-aaaaaaaaaa");
        assert!(!made && Arc::ptr_eq(&first, &again));
        // The same place, but another host, and then another instance.
        for (segment, instance) in [("a_c", "id-aaaaaaaaaa"), ("a_b", "id-bbbbaaaaaa")] {
            assert_eq!(place_of(instance), place_of("id-aaaaaaaaaa"));
            let (other, made) = meet(&mut callers, segment, instance);
            assert!(made && other.is(segment, instance));
        }
        assert!(meet(&mut callers, "a_b", "id-aaaaaaaaaa").1);
    }

    #[test]
    fn whom_nothing_can_be_sent_to_is_not_kept() {
        let mut callers = Callers::new();
        assert_eq!(callers.meet("a", "*", || Err("bad")).unwrap_err(), "bad");
        assert!(meet(&mut callers, "a", "*").1);
    }
}
