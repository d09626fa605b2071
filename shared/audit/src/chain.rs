//! Lines that name the digest of the line before.

use crate::digest::Digest;
use serde::Deserialize;

/// The end of a chain of lines, to which the next is linked. The default is before the first line of all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chain {
    head: Digest,
}

impl Chain {
    /// Goes on after a trail of which this is the end: its last line counts, whether or not it is whole.
    #[must_use]
    pub fn after(trail: &[u8]) -> Self {
        let trail = trail.strip_suffix(b"\n").unwrap_or(trail);
        if trail.is_empty() {
            return Self::default();
        }
        let last = trail.rsplit(|byte| *byte == b'\n').next();
        Self {
            head: Digest::of(last.unwrap_or_default()),
        }
    }

    /// Returns the digest of the last line; zeros before the first.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.head
    }

    /// Returns an entry, as [`Entry::to_json`](crate::Entry::to_json) gives it, as the next line: with its link as member `prev`
    /// and LF.
    pub fn append(&mut self, json: &str) -> String {
        let members = json.strip_suffix('}').unwrap_or(json);
        let mut line = format!("{members},\"prev\":\"{}\"}}", self.head);
        self.head = Digest::of(line.as_bytes());
        line.push('\n');
        line
    }
}

/// What a trail came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many lines it has.
    pub lines: usize,
    /// What its first line follows; `None` for an empty trail.
    pub follows: Option<Digest>,
    /// Digest of its last line, to compare with what is known from elsewhere; `None` for an empty trail.
    pub head: Option<Digest>,
    /// Numbers of lines that are not whole, as a power failure leaves them; the lines after them are linked to what is left.
    pub torn: Vec<usize>,
}

/// Where a trail was tampered with. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A line follows another line than the one before it.
    #[error(
        "line {line} follows {says}, but the line before it is {is}: lines before it were changed or removed"
    )]
    Link {
        /// Which.
        line: usize,
        /// What the line says that it follows.
        says: Digest,
        /// The digest of the line before it.
        is: Digest,
    },
    /// A whole line has no link.
    #[error(
        "line {line} has no link: it was not written by an issuer with AuditChain, or was changed"
    )]
    Unlinked {
        /// Which.
        line: usize,
    },
}

/// Follows the links of a trail line by line, as long as it may be.
#[derive(Debug)]
pub struct Follower(Verified);

impl Follower {
    /// Starts `after` a line of this digest, if that is known, such as the head of the file before.
    #[must_use]
    pub fn new(after: Option<Digest>) -> Self {
        Self(Verified {
            lines: 0,
            follows: None,
            head: after,
            torn: Vec::new(),
        })
    }

    /// Takes the next line, without its LF.
    ///
    /// # Errors
    /// [`Broken`] when it does not follow the one before it.
    pub fn follow(&mut self, text: &[u8]) -> Result<(), Broken> {
        let verified = &mut self.0;
        verified.lines = verified.lines.saturating_add(1);
        let line = verified.lines;
        match link(text) {
            Link::To(says) => {
                if let Some(is) = verified.head.filter(|is| *is != says) {
                    return Err(Broken::Link { line, says, is });
                }
                verified.follows.get_or_insert(says);
            }
            Link::Torn => verified.torn.push(line),
            Link::None => return Err(Broken::Unlinked { line }),
        }
        verified.head = Some(Digest::of(text));
        Ok(())
    }

    /// Returns what the trail came to.
    #[must_use]
    pub fn end(mut self) -> Verified {
        if self.0.lines == 0 {
            self.0.head = None;
        }
        self.0
    }
}

/// Follows the links of `trail`, from `after` if that is known.
///
/// # Errors
/// [`Broken`] for the first line that does not follow the one before it.
pub fn verify(trail: &[u8], after: Option<Digest>) -> Result<Verified, Broken> {
    let mut follower = Follower::new(after);
    let trail = trail.strip_suffix(b"\n").unwrap_or(trail);
    if !trail.is_empty() {
        let mut lines = trail.split(|byte| *byte == b'\n');
        lines.try_for_each(|line| follower.follow(line))?;
    }
    Ok(follower.end())
}

enum Link {
    To(Digest),
    /// The line is no whole JSON.
    Torn,
    None,
}

fn link(line: &[u8]) -> Link {
    #[derive(Deserialize)]
    struct Linked {
        prev: Option<String>,
    }
    match serde_json::from_slice::<Linked>(line) {
        Err(error) if error.is_eof() => Link::Torn,
        Err(_) => Link::None,
        Ok(Linked { prev }) => prev
            .and_then(|prev| Digest::parse(&prev))
            .map_or(Link::None, Link::To),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;

    fn entry(caller: &str) -> String {
        let entry = Entry {
            caller,
            ..Entry::default()
        };
        entry.to_json()
    }

    fn trail(callers: &[&str]) -> (Vec<String>, Chain) {
        let mut chain = Chain::default();
        let lines = callers.iter().map(|caller| chain.append(&entry(caller)));
        (lines.collect(), chain)
    }

    #[test]
    fn a_whole_trail_verifies_and_goes_on_after_its_end() {
        let (lines, mut chain) = trail(&["a", "b", "c"]);
        let text = lines.concat();
        let verified = verify(text.as_bytes(), Some(Digest::default())).unwrap();
        assert_eq!((verified.lines, verified.head), (3, Some(chain.head())));
        assert_eq!(Chain::after(text.as_bytes()).head(), chain.head());
        assert_eq!(Chain::after(b"").head(), Digest::default());
        let next = chain.append(&entry("x"));
        let verified = verify(next.as_bytes(), verified.head).unwrap();
        assert_eq!(verified.head, Some(chain.head()));
    }

    #[test]
    fn a_line_that_was_removed_changed_or_moved_shows() {
        let (lines, _) = trail(&["a", "b", "c"]);
        let [a, b, c] = [0, 1, 2].map(|at| lines[at].as_str());
        let changed = b.replace("\"b\"", "\"x\"");
        for (tampered, line) in [
            ([b, c, ""], 1),
            ([a, c, ""], 2),
            ([a, &changed, c], 3),
            ([b, a, c], 1),
            ([a, a, b], 2),
        ] {
            let broken = verify(tampered.concat().as_bytes(), Some(Digest::default()));
            assert!(
                matches!(broken, Err(Broken::Link { line: at, .. }) if at == line),
                "{broken:?}"
            );
        }
        let unlinked = format!("{a}{{\"caller\":\"b\"}}\n");
        assert_eq!(
            verify(unlinked.as_bytes(), None),
            Err(Broken::Unlinked { line: 2 })
        );
    }

    #[test]
    fn a_line_torn_by_a_power_failure_is_told_and_the_chain_goes_on() {
        let (lines, _) = trail(&["a", "b"]);
        let torn = lines.concat();
        let torn = torn.get(..torn.len() - 9).unwrap();
        let mut chain = Chain::after(torn.as_bytes());
        let text = format!("{torn}\n{}", chain.append(&entry("x")));
        let verified = verify(text.as_bytes(), None).unwrap();
        assert_eq!((verified.lines, verified.torn), (3, vec![2]));
        let cut = text.replace("\"b\"", "\"x\"");
        assert!(verify(cut.as_bytes(), None).is_err());
    }
}
