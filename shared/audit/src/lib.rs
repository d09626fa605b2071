//! The audit trail of an issuer: one line of JSON for each decision to mint, never the token. Pure.
//!
//! Lines can be chained: each names the SHA-256 of the line before it, so that a line that was changed, removed or moved
//! shows. Who can write the file can also write a whole new chain: what the last line's digest was must be known from
//! elsewhere, such as the place that the lines are shipped to.
//!
//! ```
//! use microbus_audit::{Chain, Entry, verify};
//!
//! let entry = Entry { outcome: "minted", caller: "http.ingress.core", ..Entry::default() }.to_json();
//! let mut chain = Chain::default();
//! let trail = [chain.append(&entry), chain.append(&entry)].concat();
//! let verified = verify(trail.as_bytes(), None)?;
//! assert_eq!((verified.lines, verified.head), (2, Some(chain.head())));
//!
//! let without_the_first = trail.split_once('\n').unwrap().1;
//! assert!(verify(without_the_first.as_bytes(), Some(Chain::default().head())).is_err());
//! # Ok::<(), microbus_audit::Broken>(())
//! ```

mod chain;
mod digest;
mod entry;

pub use chain::{Broken, Chain, Follower, Verified, verify};
pub use digest::Digest;
pub use entry::{Entry, Field};
