//! Fragments: bodies that are too large for one NATS message.
//!
//! spec: microbus-wire 6

mod joiner;

use std::fmt;

use thiserror::Error;

pub use joiner::{
    Expired, Fragmented, JoinError, Joined, Joiner, MAX_FRAGMENTS, MAX_PENDING_BYTES,
    MAX_SET_BYTES, MAX_SETS,
};

/// Which part of a message this is: `index` of `count`, from 1.
///
/// What the header says is kept as it is: [`Joiner`] judges whether it makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// From 1.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

impl Fragment {
    /// The only fragment of a message that is not fragmented.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// Reads `i/n`. Anything else is a whole message, as with the peer.
    pub fn parse(text: &str) -> Self {
        Self::parse_strictly(text).unwrap_or(Self::WHOLE)
    }

    /// Reads the header `Microbus-Fragment`, which a whole message lacks.
    pub fn from_header(value: Option<&str>) -> Self {
        value.map_or(Self::WHOLE, Self::parse)
    }

    /// Tells whether the message needs no joining.
    pub fn is_whole(self) -> bool {
        self.count <= 1
    }

    fn parse_strictly(text: &str) -> Option<Self> {
        let (index, count) = text.split_once('/')?;
        let number = |digits: &str| {
            digits
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| digits.parse().ok())
                .flatten()
        };
        Some(Self {
            index: number(index)?,
            count: number(count)?,
        })
    }
}

impl fmt::Display for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Returns the most bytes of body in one message, given the broker's `max_payload`.
///
/// # Errors
/// [`FragmentSizeError`] if too little is left beside the headers. spec: microbus-wire 1.4
pub fn fragment_size(max_payload: usize) -> Result<usize, FragmentSizeError> {
    match max_payload.checked_sub(RESERVED) {
        Some(size) if size >= RESERVED => Ok(size),
        _ => Err(FragmentSizeError { max_payload }),
    }
}

/// A broker that takes only very small messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "message size limit is too restrictive: the broker's max_payload is {max_payload}; raise it to 131072 or more"
)]
pub struct FragmentSizeError {
    /// What the broker said.
    pub max_payload: usize,
}

/// Splits a body into fragments of at most `size` bytes; an empty body is one empty fragment.
pub fn split(body: &[u8], size: usize) -> impl Iterator<Item = (Fragment, &[u8])> {
    let size = size.max(1);
    let count = u32::try_from(body.len().div_ceil(size))
        .unwrap_or(u32::MAX)
        .max(1);
    let mut rest = body;
    (1..=count).map(move |index| {
        let (part, behind) = rest.split_at_checked(size).unwrap_or((rest, &[]));
        rest = behind;
        (Fragment { index, count }, part)
    })
}

/// What is kept free of the largest message for its headers, and the least size of a fragment.
const RESERVED: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_no_fragment_means_a_whole_message() {
        for text in [
            "",
            "1",
            "a/b",
            "1/",
            "/1",
            "-1/2",
            "1/2/3",
            " 1/2",
            "+1/2",
            "1/99999999999",
        ] {
            assert_eq!(Fragment::parse(text), Fragment::WHOLE, "{text}");
        }
        assert_eq!(Fragment::from_header(None), Fragment::WHOLE);
        assert_eq!(Fragment::parse("2/3"), Fragment { index: 2, count: 3 });
        assert!(Fragment::parse("0/0").is_whole());
    }

    #[test]
    fn the_size_of_a_fragment_leaves_room_for_headers() {
        assert_eq!(fragment_size(1 << 20), Ok(983_040));
        assert_eq!(fragment_size(131_072), Ok(65_536));
        for max_payload in [131_071, 65_536, 0] {
            assert_eq!(
                fragment_size(max_payload),
                Err(FragmentSizeError { max_payload })
            );
        }
    }

    #[test]
    fn a_body_of_exactly_the_size_is_one_fragment() {
        for (length, count) in [(0, 1), (9, 1), (10, 1), (11, 2), (20, 2), (21, 3)] {
            let body = vec![7; length];
            let parts: Vec<_> = split(&body, 10).collect();
            assert_eq!(parts.len(), count, "{length}");
            assert_eq!(
                parts
                    .iter()
                    .flat_map(|(_, part)| part.to_vec())
                    .collect::<Vec<_>>(),
                body
            );
            assert!(
                parts
                    .iter()
                    .all(|(fragment, _)| fragment.count as usize == count)
            );
        }
    }
}
