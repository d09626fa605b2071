//! Which tokens of a provider are believed. Pure.

use std::time::Duration;

/// What the claims of a token must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How far the provider's clock may differ from ours.
    pub(crate) clock_tolerance: Duration,
    /// Whose ID tokens; none at all if absent.
    pub(crate) id_tokens: Option<Accepted>,
    /// Whose access tokens; none at all if absent.
    pub(crate) access_tokens: Option<Accepted>,
}

/// For whom, and issued to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// What `aud` may name.
    pub(crate) audiences: Vec<String>,
    /// What `azp` and `client_id` may name; anything if absent.
    pub(crate) authorized_parties: Option<Vec<String>>,
}

impl Accepted {
    pub(crate) fn authorized(&self, party: &str) -> bool {
        let parties = self.authorized_parties.as_ref();
        parties.is_none_or(|parties| parties.iter().any(|known| known == party))
    }
}
