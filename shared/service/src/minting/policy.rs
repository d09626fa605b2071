//! What each caller may mint: an expression over the final claims, by the caller's host.

use crate::yaml;
use microbus_required_claims::RequiredClaims;
use microbus_token::Claims;
use microbus_wire::host::Hostname;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Expressions by caller; a caller that is not among them may mint anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MintPolicy {
    guards: BTreeMap<String, Vec<Guard>>,
}

/// One expression; equal to another of the same text.
#[derive(Debug, Clone)]
struct Guard {
    text: String,
    /// Or why the text is no expression: then nothing meets it.
    parsed: Result<Arc<RequiredClaims>, String>,
}

/// Why a caller's claims do not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// They do not meet its expression.
    #[error("the claims do not meet the caller's mint policy {0}")]
    NotMet(String),
    /// Its expression cannot be read.
    #[error("the caller's mint policy {text} cannot be read: {error}")]
    Unreadable {
        /// The expression.
        text: String,
        /// What is wrong with it.
        error: String,
    },
    /// The claims could not be read back.
    #[error("the final claims cannot be read")]
    Claims,
}

impl MintPolicy {
    /// Reads a YAML map from caller host to expression. An expression that cannot be read refuses its caller alone.
    ///
    /// # Errors
    /// When the text is no such map or names no host, with the remedy.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let wanted = "write a YAML map from caller host to expression, such as `idp.bridge: \"!roles.admin\"`";
        let map: serde_yaml::Mapping =
            yaml::parse(text).map_err(|problem| format!("{wanted}: {problem}"))?;
        let mut guards = BTreeMap::<_, Vec<_>>::new();
        for (host, guard) in map {
            let (Some(host), Some(guard)) = (host.as_str(), crate::files::scalar_text(guard))
            else {
                return Err(wanted.to_owned());
            };
            let host = Hostname::parse(host)
                .map_err(|error| format!("{wanted}; '{host}' is no host name: {error}"))?;
            let of_host = guards.entry(host.as_str().to_owned()).or_default();
            of_host.push(Guard::new(guard));
        }
        Ok(Self { guards })
    }

    /// Returns the policy that refuses what either refuses.
    #[must_use]
    pub fn narrowed_by(&self, other: &Self) -> Self {
        let mut narrowed = self.clone();
        for (host, guards) in &other.guards {
            let own = narrowed.guards.entry(host.clone()).or_default();
            let new: Vec<_> = guards.iter().filter(|one| !own.contains(one)).collect();
            own.extend(new.into_iter().cloned());
        }
        narrowed
    }

    /// Judges the final claims of a token for `host`.
    ///
    /// # Errors
    /// [`PolicyRefusal`] when the claims do not pass, or it cannot be told.
    pub fn judge(&self, host: &str, claims: &Claims) -> Result<(), PolicyRefusal> {
        let Some(guards) = self.guards.get(host) else {
            return Ok(());
        };
        let claims: Map<String, Value> =
            serde_json::from_slice(&claims.to_json()).map_err(|_| PolicyRefusal::Claims)?;
        guards.iter().try_for_each(|guard| match &guard.parsed {
            Ok(expression) if expression.is_met_by(&claims) => Ok(()),
            Ok(_) => Err(PolicyRefusal::NotMet(guard.text.clone())),
            Err(error) => Err(PolicyRefusal::Unreadable {
                text: guard.text.clone(),
                error: error.clone(),
            }),
        })
    }

    /// Returns the callers whose expressions cannot be read, each with what is wrong.
    pub fn unreadable(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.guards.iter();
        all.flat_map(|(host, guards)| guards.iter().map(move |guard| (host.as_str(), guard)))
            .filter_map(|(host, guard)| Some((host, guard.parsed.as_ref().err()?.as_str())))
    }

    /// Tells whether anybody is restricted.
    #[must_use]
    pub fn restricts(&self) -> bool {
        !self.guards.is_empty()
    }
}

impl Guard {
    fn new(text: String) -> Self {
        let parsed = RequiredClaims::parse(&text);
        Self {
            parsed: parsed.map(Arc::new).map_err(|error| error.to_string()),
            text,
        }
    }
}

impl PartialEq for Guard {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Guard {}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str =
        "idp.bridge: \"!roles.admin\"\nlogin.core: idp=='https://idp.example'\nbad.core: a=b\n";

    fn judge(policy: &MintPolicy, host: &str, claims: &str) -> Result<(), PolicyRefusal> {
        policy.judge(host, &Claims::from_json(claims.as_bytes()).unwrap())
    }

    #[test]
    fn each_caller_is_judged_by_its_own_expression() {
        let policy = MintPolicy::parse(POLICY).unwrap();
        let admin = r#"{"roles":["admin"]}"#;
        assert_eq!(judge(&policy, "other.core", admin), Ok(()));
        assert_eq!(
            judge(&policy, "idp.bridge", admin),
            Err(PolicyRefusal::NotMet("!roles.admin".to_owned()))
        );
        assert_eq!(
            judge(&policy, "idp.bridge", r#"{"roles":["user"]}"#),
            Ok(())
        );
        assert_eq!(
            judge(&policy, "idp.bridge", "{}"),
            Ok(()),
            "a negative guard passes on an absent claim"
        );
        assert!(judge(&policy, "login.core", "{}").is_err());
        assert!(judge(&policy, "login.core", r#"{"idp":"https://idp.example"}"#).is_ok());
    }

    #[test]
    fn an_expression_that_cannot_be_read_refuses_its_caller_and_is_named() {
        let policy = MintPolicy::parse(POLICY).unwrap();
        assert!(matches!(
            judge(&policy, "bad.core", r#"{"a":1}"#),
            Err(PolicyRefusal::Unreadable { .. })
        ));
        let unreadable: Vec<_> = policy.unreadable().collect();
        assert!(matches!(unreadable[..], [("bad.core", error)] if error.contains('=')));
    }

    #[test]
    fn what_is_no_map_of_texts_is_refused_with_an_example() {
        for bad in ["- a", "idp.bridge: [1]", "a: b\na: c", "x"] {
            let error = MintPolicy::parse(bad).unwrap_err();
            assert!(error.contains("write a YAML map"), "{bad}: {error}");
        }
        assert!(!MintPolicy::parse(" \n").unwrap().restricts());
    }

    #[test]
    fn a_caller_is_a_host_however_it_is_written() {
        let policy = MintPolicy::parse("Idp.Bridge: \"!roles.admin\"\nidp.bridge: sub").unwrap();
        for claims in [r#"{"sub":"harry","roles":["admin"]}"#, "{}"] {
            assert!(judge(&policy, "idp.bridge", claims).is_err(), "{claims}");
        }
        assert_eq!(judge(&policy, "idp.bridge", r#"{"sub":"harry"}"#), Ok(()));
        for bad in ["idp bridge: x", "'': x", "https://idp.bridge: x"] {
            let error = MintPolicy::parse(bad).unwrap_err();
            assert!(error.contains("is no host name: "), "{bad}: {error}");
        }
    }

    #[test]
    fn narrowing_keeps_every_expression() {
        let own = MintPolicy::parse("a.core: x").unwrap();
        let told = MintPolicy::parse("a.core: y\nb.core: z").unwrap();
        let narrowed = own.narrowed_by(&told);
        assert!(judge(&narrowed, "a.core", r#"{"x":1,"y":1}"#).is_ok());
        assert!(judge(&narrowed, "a.core", r#"{"y":1}"#).is_err());
        assert!(judge(&narrowed, "a.core", r#"{"x":1}"#).is_err());
        assert!(judge(&narrowed, "b.core", "{}").is_err());
        assert_eq!(own.narrowed_by(&MintPolicy::default()), own);
        assert_eq!(own.narrowed_by(&own), own);
    }
}
