//! Which providers are believed, and what becomes of their claims, as YAML. Pure.

use crate::algorithm::Algorithm;
use crate::mapping::{Mapping, RawMapping};
use crate::rules::{Accepted, Rules};
use crate::url::Url;
use microbus_wire::duration;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The whole configuration of a bridge.
///
/// ```yaml
/// providers:
///   - issuer: https://login.example        # exactly as in `iss`
///     algorithms: [RS256]                  # RS256, PS256, ES256, EdDSA; nothing else is read
///     clock_tolerance: 10s                 # 10 s if absent, at most 1 min
///     ca_file: /etc/ssl/login.pem          # authorities besides those of the operating system
///     id_tokens:                           # absent: ID tokens are refused
///       audiences: [web-app]               # our client IDs
///       authorized_parties: [web-app]      # what `azp` may be; the audiences if absent
///     access_tokens:                       # absent: access tokens (RFC 9068) are refused
///       audiences: [https://api.example]
///       authorized_parties: [batch]        # what `client_id` may be; any client if absent
///     claims:
///       sub: {prefix: "login|", required: true}
///       email:                             # as it is
///       tenant: {from: "https://login.example/org"}
///       source: {constant: login}
///       roles: {from: [realm_access, roles], roles: {"Domain Admins": admin, users: reader}}
///       address: {members: {country: , city: {from: locality}}}
///       profile: {drop: [picture]}
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub(crate) providers: Vec<ProviderSettings>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProviderSettings {
    pub(crate) issuer: String,
    pub(crate) url: Url,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) rules: Rules,
    pub(crate) mapping: Mapping,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is not YAML of the documented shape.
    #[error("the bridge's configuration cannot be read: {0}")]
    Yaml(#[from] serde_yaml::Error),
    /// All that is wrong with it, each with its place.
    #[error("the bridge's configuration is wrong: {}", .0.join("; "))]
    Problems(Vec<String>),
}

impl Settings {
    /// Reads a configuration and checks all of it.
    ///
    /// # Errors
    /// [`SettingsError`] names every problem. Nothing of a wrong configuration is used.
    pub fn parse(yaml: &str) -> Result<Self, SettingsError> {
        let raw: Raw = serde_yaml::from_str(yaml)?;
        let mut problems = Vec::new();
        if raw.providers.is_empty() {
            problems.push("providers: none is configured".to_owned());
        }
        let mut providers: Vec<ProviderSettings> = Vec::new();
        for (index, raw) in raw.providers.into_iter().enumerate() {
            let place = format!("providers[{index}]");
            let issuer = raw.issuer.clone();
            if providers.iter().any(|known| known.issuer == issuer) {
                problems.push(format!("{place}.issuer: {issuer} is there twice"));
            }
            providers.extend(check_provider(raw, &place, &mut problems));
        }
        if problems.is_empty() {
            Ok(Self { providers })
        } else {
            Err(SettingsError::Problems(problems))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    providers: Vec<RawProvider>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProvider {
    issuer: String,
    algorithms: Vec<Algorithm>,
    clock_tolerance: Option<String>,
    ca_file: Option<PathBuf>,
    id_tokens: Option<RawAccepted>,
    access_tokens: Option<RawAccepted>,
    claims: RawMapping,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccepted {
    audiences: Vec<String>,
    authorized_parties: Option<Vec<String>>,
}

fn check_provider(
    raw: RawProvider,
    place: &str,
    problems: &mut Vec<String>,
) -> Option<ProviderSettings> {
    let mut problem = |field: &str, text: &str| problems.push(format!("{place}.{field}: {text}"));
    let url = Url::parse(&raw.issuer)
        .map_err(|error| problem("issuer", &error.to_string()))
        .ok();
    if raw.issuer.contains('?') {
        problem("issuer", "an issuer has no query");
    }
    if raw.algorithms.is_empty() {
        problem(
            "algorithms",
            "none is listed, so no token could be believed",
        );
    }
    let tolerance = raw.clock_tolerance.as_deref().map(duration::parse);
    let clock_tolerance = match tolerance {
        None => DEFAULT_TOLERANCE,
        Some(Ok(nanoseconds)) => u64::try_from(nanoseconds)
            .map(Duration::from_nanos)
            .ok()
            .filter(|tolerance| *tolerance <= LONGEST_TOLERANCE)
            .unwrap_or_else(|| {
                problem("clock_tolerance", "allowed is 0s to 1m");
                DEFAULT_TOLERANCE
            }),
        Some(Err(error)) => {
            problem(
                "clock_tolerance",
                &format!("{error}; write 10s, for example"),
            );
            DEFAULT_TOLERANCE
        }
    };
    if raw.id_tokens.is_none() && raw.access_tokens.is_none() {
        problem(
            "id_tokens",
            "neither id_tokens nor access_tokens is there, so no token could be believed",
        );
    }
    for (field, accepted) in [
        ("id_tokens", &raw.id_tokens),
        ("access_tokens", &raw.access_tokens),
    ] {
        if accepted
            .as_ref()
            .is_some_and(|accepted| accepted.audiences.is_empty())
        {
            problem(field, "audiences are missing: who may tokens be for?");
        }
    }
    let id_tokens = raw.id_tokens.map(|raw| Accepted {
        authorized_parties: raw
            .authorized_parties
            .or_else(|| Some(raw.audiences.clone())),
        audiences: raw.audiences,
    });
    let access_tokens = raw.access_tokens.map(|raw| Accepted {
        authorized_parties: raw.authorized_parties,
        audiences: raw.audiences,
    });
    let mapping = Mapping::check(raw.claims, &format!("{place}.claims"), problems);
    Some(ProviderSettings {
        issuer: raw.issuer,
        url: url?,
        algorithms: raw.algorithms,
        ca_file: raw.ca_file,
        rules: Rules {
            clock_tolerance,
            id_tokens,
            access_tokens,
        },
        mapping,
    })
}

const DEFAULT_TOLERANCE: Duration = Duration::from_secs(10);
const LONGEST_TOLERANCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
