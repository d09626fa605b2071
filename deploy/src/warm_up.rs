//! A request that makes an ingress fetch the JWK Set of the bearer issuer, and what its answer tells.
//!
//! An ingress fetches when a token of `bearer.token.core` names a key that it does not know, whether or not the signature
//! holds, but not if its last fetch began less than a second ago; a bad token makes the request anonymous. So two requests,
//! a little more than a second apart, leave no ingress without a fetch that began after the first: either one of them began
//! it, or the second met one that somebody else had begun in between. Source: spec: verify 5; design: keys, "What verifiers do".

use crate::http;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use microbus_bus::Artifacts;
use microbus_token::Issuer;
use serde::Serialize;
use std::time::Duration;
use url::Url;

/// How long after the first request the second is sent: the second in which an ingress does not fetch again, and some spare.
pub const INTERVAL: Duration = Duration::from_millis(1_100);

/// Returns a token of the bearer issuer whose key nobody knows; `random` names the key and stands for a signature.
///
/// # Security
/// It expired in 1970 and nobody signed it: it makes nobody an actor, wherever it gets to.
#[must_use]
pub fn token(random: &[u8; 64]) -> String {
    let kid: Vec<u8> = random.iter().copied().take(24).collect();
    let header = format!(
        r#"{{"alg":"EdDSA","kid":"{}","typ":"JWT"}}"#,
        URL_SAFE_NO_PAD.encode(kid)
    );
    let payload = format!(r#"{{"exp":1,"iat":0,"iss":"{}"}}"#, Issuer::Bearer.url());
    format!(
        "{}.{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload),
        URL_SAFE_NO_PAD.encode(random)
    )
}

/// Sends a request with `token` to an ingress, waits for `patience` at most, and returns the status of its answer.
///
/// # Errors
/// A sentence for the operator, when it does not answer.
pub async fn send(
    url: &Url,
    token: &str,
    artifacts: &Artifacts,
    patience: Duration,
) -> Result<u16, String> {
    let path = match url.query() {
        None => url.path().to_owned(),
        Some(query) => format!("{}?{query}", url.path()),
    };
    let header = format!("Authorization: Bearer {token}\r\n");
    let answer = http::get(url, &path, &header, artifacts, patience).await?;
    Ok(answer.status)
}

/// What became of an ingress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It answered both requests as it answers anonymous ones: it has met the unknown key, and had to fetch.
    Met,
    /// It redirected before it looked at the token.
    Redirected,
    /// It failed, which is what an ingress does whose fetch failed.
    Failed,
    /// It did not answer.
    Unreachable,
}

impl Outcome {
    /// Judges the statuses that an ingress answered with; none where it did not answer.
    #[must_use]
    pub fn of(statuses: &[Option<u16>]) -> Self {
        let judge = |status: &Option<u16>| match status {
            None => Self::Unreachable,
            Some(300..400) => Self::Redirected,
            Some(408 | 500..) => Self::Failed,
            Some(_) => Self::Met,
        };
        let worst = [Self::Unreachable, Self::Failed, Self::Redirected];
        let found: Vec<_> = statuses.iter().map(judge).collect();
        worst
            .into_iter()
            .find(|outcome| found.contains(outcome))
            .unwrap_or(Self::Met)
    }

    /// Returns what it means, and what to do.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Met => {
                "met the unknown key twice, so it fetched after the first request if it is an ingress of the bus"
            }
            Self::Redirected => {
                "redirected before it looked at the token: name the URL that it redirects to"
            }
            Self::Failed => {
                "failed, as it does when it cannot fetch: look at its log and at bearer.token.core, and try again"
            }
            Self::Unreachable => {
                "did not answer: it is not warm; look at the URL and the network, and try again"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::{JwkSet, Unverified, looks_like_jwt, verify};
    use std::time::SystemTime;

    #[test]
    fn the_token_is_looked_at_and_never_believed() {
        for byte in [0, 1, 0x5a, 0xff] {
            let token = token(&[byte; 64]);
            assert!(looks_like_jwt(&token), "{token}");
            let unverified = Unverified::parse(&token, 8_192).unwrap();
            assert_eq!(unverified.issuer(), Issuer::Bearer);
            let refusal = verify(&token, &JwkSet::default(), SystemTime::UNIX_EPOCH).unwrap_err();
            assert_eq!(refusal.reason(), "unknown_kid");
        }
    }

    #[test]
    fn each_run_names_another_key() {
        let kid = |byte| {
            Unverified::parse(&token(&[byte; 64]), 8_192)
                .unwrap()
                .key_id()
                .clone()
        };
        assert_ne!(kid(1), kid(2));
    }

    #[test]
    fn the_worse_answer_counts() {
        for (statuses, outcome) in [
            ([Some(200), Some(401)], Outcome::Met),
            ([Some(404), Some(404)], Outcome::Met),
            ([Some(200), Some(301)], Outcome::Redirected),
            ([Some(503), Some(200)], Outcome::Failed),
            ([Some(200), Some(408)], Outcome::Failed),
            ([Some(500), None], Outcome::Unreachable),
        ] {
            assert_eq!(Outcome::of(&statuses), outcome, "{statuses:?}");
        }
    }
}
