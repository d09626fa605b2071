//! Putting fragments together again, with bounds on what a sender can make us keep.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use super::Fragment;
use crate::frame::{Request, Response};
use crate::header::{self, Headers};

/// A message that may come in fragments.
pub trait Fragmented {
    /// Returns the headers.
    fn headers(&self) -> &Headers;
    /// Returns the headers, to change them.
    fn headers_mut(&mut self) -> &mut Headers;
    /// Returns the body, to change it.
    fn body_mut(&mut self) -> &mut Bytes;
}

impl Fragmented for Request {
    fn headers(&self) -> &Headers {
        &self.headers
    }
    fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }
    fn body_mut(&mut self) -> &mut Bytes {
        &mut self.body
    }
}

impl Fragmented for Response {
    fn headers(&self) -> &Headers {
        &self.headers
    }
    fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }
    fn body_mut(&mut self) -> &mut Bytes {
        &mut self.body
    }
}

/// The most messages that are joined at a time.
pub const MAX_SETS: usize = 1024;
/// The most fragments of one message.
pub const MAX_FRAGMENTS: u32 = 1024;
/// The most bytes of body of one message.
pub const MAX_SET_BYTES: usize = 64 << 20;
/// The most bytes of body of all messages that are joined at a time.
pub const MAX_PENDING_BYTES: usize = 256 << 20;

/// Joins the fragments of messages, whatever their order of arrival.
///
/// The peer counts fragments without looking at their numbers, and keeps as many as are sent; a duplicate then ends in
/// silence. Here numbers, counts and bytes are bounded, and what breaks the bounds is refused with a reason that can be
/// sent back. spec: microbus-wire 6, 13.14
#[derive(Debug)]
pub struct Joiner<M> {
    sets: HashMap<String, Set<M>>,
    idle: Duration,
}

/// What a fragment led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined<M> {
    /// The whole message: headers of fragment 1 without the fragment header, bodies in order.
    Complete(M),
    /// More fragments are missing.
    Pending,
    /// The message cannot be joined; what arrived of it is dropped.
    Refused(JoinError),
}

/// Why fragments cannot be joined: the sender's fault, but for [`JoinError::TooManyMessages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JoinError {
    /// The index is 0 or beyond the count.
    #[error("fragment {0} does not exist; fragments are numbered from 1 to their count")]
    Index(Fragment),
    /// The count is beyond [`MAX_FRAGMENTS`].
    #[error(
        "fragment {0} belongs to a message of more than {MAX_FRAGMENTS} fragments; send larger ones"
    )]
    TooMany(Fragment),
    /// A fragment that has arrived already.
    #[error("fragment {0} arrived twice; send each fragment once")]
    Duplicate(Fragment),
    /// Another count than the fragments before.
    #[error(
        "fragment {0} contradicts the count of the fragments before; use a new message id for each message"
    )]
    Count(Fragment),
    /// The bodies add up to more than [`MAX_SET_BYTES`].
    #[error("the fragments add up to more than {MAX_SET_BYTES} bytes; send less")]
    TooLarge,
    /// [`MAX_SETS`] messages or [`MAX_PENDING_BYTES`] are being joined.
    #[error("too many fragmented messages are being received already; send again later")]
    TooManyMessages,
}

/// A message whose other fragments did not come in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired<M> {
    /// The key that the fragments came under.
    pub key: String,
    /// The first fragment, or another if that did not come; without its body.
    pub head: M,
}

impl<M: Fragmented> Joiner<M> {
    /// Makes a joiner that gives a message up when no fragment of it came for `idle`: eight round trips.
    pub fn new(idle: Duration) -> Self {
        Self {
            sets: HashMap::new(),
            idle,
        }
    }

    /// Takes a fragment. The key tells messages apart: the sender's instance and the message identifier.
    ///
    /// A whole message is complete at once and leaves no trace. The time budget of the joined message is that of fragment 1;
    /// whoever judges by the fragment that came last (spec: microbus-wire 15.5) reads its header before.
    pub fn on_fragment(&mut self, key: &str, mut message: M, now: Instant) -> Joined<M> {
        let fragment = Fragment::from_header(message.headers().get(header::FRAGMENT));
        if fragment.is_whole() {
            message.headers_mut().remove(header::FRAGMENT);
            return Joined::Complete(message);
        }
        match self.collect(key, fragment, message, now) {
            Err(error) => {
                self.sets.remove(key);
                Joined::Refused(error)
            }
            Ok(false) => Joined::Pending,
            Ok(true) => match self.sets.remove(key) {
                Some(set) => Joined::Complete(set.join()),
                None => Joined::Pending,
            },
        }
    }

    /// Gives up the messages of which no fragment came for too long, and returns what is known of them.
    pub fn expire(&mut self, now: Instant) -> Vec<Expired<M>> {
        let idle = self.idle;
        self.sets
            .extract_if(|_, set| now.saturating_duration_since(set.touched) >= idle)
            .map(|(key, set)| Expired {
                key,
                head: set.head,
            })
            .collect()
    }

    /// Returns when [`Joiner::expire`] has something to do, `None` if nothing is pending.
    pub fn next_wakeup(&self) -> Option<Instant> {
        self.sets
            .values()
            .filter_map(|set| set.touched.checked_add(self.idle))
            .min()
    }

    /// Returns how many messages are being joined.
    pub fn pending(&self) -> usize {
        self.sets.len()
    }

    /// Puts a fragment into its set; tells whether the set is complete.
    fn collect(
        &mut self,
        key: &str,
        fragment: Fragment,
        mut message: M,
        now: Instant,
    ) -> Result<bool, JoinError> {
        if fragment.index == 0 || fragment.index > fragment.count {
            return Err(JoinError::Index(fragment));
        }
        if fragment.count > MAX_FRAGMENTS {
            return Err(JoinError::TooMany(fragment));
        }
        let body = std::mem::take(message.body_mut());
        let pending: usize = self.sets.values().map(|set| set.bytes).sum();
        if pending.saturating_add(body.len()) > MAX_PENDING_BYTES {
            return Err(JoinError::TooManyMessages);
        }
        if let Some(set) = self.sets.get_mut(key) {
            if fragment.index == 1 {
                set.head = message;
            }
            return set.insert(fragment, body, now);
        }
        if self.sets.len() >= MAX_SETS {
            return Err(JoinError::TooManyMessages);
        }
        let mut set = Set {
            head: message,
            parts: vec![None; usize::try_from(fragment.count).unwrap_or_default()],
            arrived: 0,
            bytes: 0,
            touched: now,
        };
        let complete = set.insert(fragment, body, now)?;
        self.sets.insert(key.to_owned(), set);
        Ok(complete)
    }
}

#[derive(Debug)]
struct Set<M> {
    /// Fragment 1, or the one that came first as long as that is missing. Its body is in `parts`.
    head: M,
    parts: Vec<Option<Bytes>>,
    arrived: usize,
    bytes: usize,
    touched: Instant,
}

impl<M: Fragmented> Set<M> {
    fn insert(&mut self, fragment: Fragment, body: Bytes, now: Instant) -> Result<bool, JoinError> {
        let count = usize::try_from(fragment.count).unwrap_or_default();
        let index = usize::try_from(fragment.index)
            .unwrap_or_default()
            .saturating_sub(1);
        if count != self.parts.len() {
            return Err(JoinError::Count(fragment));
        }
        let Some(part @ None) = self.parts.get_mut(index) else {
            return Err(JoinError::Duplicate(fragment));
        };
        self.bytes = self.bytes.saturating_add(body.len());
        if self.bytes > MAX_SET_BYTES {
            return Err(JoinError::TooLarge);
        }
        *part = Some(body);
        self.arrived = self.arrived.saturating_add(1);
        self.touched = now;
        Ok(self.arrived == count)
    }

    fn join(mut self) -> M {
        let mut whole = BytesMut::with_capacity(self.bytes);
        for part in self.parts.iter().flatten() {
            whole.extend_from_slice(part);
        }
        *self.head.body_mut() = whole.freeze();
        self.head.headers_mut().remove(header::FRAGMENT);
        self.head
    }
}

#[cfg(test)]
mod tests;
