//! How a verifier is set up.

use microbus_token::Issuer;
use std::time::Duration;

/// What a verifier reads and believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of the largest token that is read: 8 KiB by default.
    pub size_limit: usize,
    /// How far clocks may differ, at most [`LONGEST_LEEWAY`]: nothing by default, because the issuers pad the times.
    pub leeway: Duration,
    /// The one issuer that is believed; both by default. At the edge it is [`Issuer::Bearer`].
    pub only: Option<Issuer>,
    /// How many verified tokens are remembered by their SHA-256, until they expire: none by default.
    ///
    /// A remembered token costs a hash instead of a signature. It is believed no longer than its key is.
    pub remembered_tokens: usize,
    /// Whether unsigned tokens are believed. For tests of services alone.
    #[cfg(feature = "testing")]
    pub accept_unsigned: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            size_limit: 8 * 1024,
            leeway: Duration::ZERO,
            only: None,
            remembered_tokens: 0,
            #[cfg(feature = "testing")]
            accept_unsigned: false,
        }
    }
}

/// The longest leeway. Source: spec: verify 2.3.
pub const LONGEST_LEEWAY: Duration = Duration::from_secs(5);
