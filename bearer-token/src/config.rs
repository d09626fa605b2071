//! The properties of bearer.token.core: name on the wire, range, default, effect.
//!
//! Source: spec: microbus-wire 8.4, 11.3.

use microbus_service::{
    ANSWER_WITHOUT_ACK, AUDIT_PROPERTIES, MINTING_PROPERTIES, Property, Rule, Settings,
};
use std::time::Duration;

/// Everything that can be configured.
pub const PROPERTIES: &[Property] = &[
    Property {
        name: AUTH_TOKEN_TTL,
        rule: Rule::Duration {
            least: Duration::from_secs(60),
            most: None,
        },
        default: "720h",
        effect: "lifetime of tokens minted from now on",
    },
    Property {
        name: PRIVATE_KEY,
        rule: Rule::Key,
        default: "",
        effect: "published at once, signs after ActivationDelay; the key before it signs until then",
    },
    Property {
        name: ALT_PRIVATE_KEY,
        rule: Rule::Key,
        default: "",
        effect: "published besides PrivateKey, so that its tokens verify; removed at once when it is taken away",
    },
    Property {
        name: ACTIVATION_DELAY,
        rule: Rule::Duration {
            least: Duration::from_secs(10),
            most: Some(Duration::from_secs(60 * 60)),
        },
        default: "10s",
        effect: "how long a new key is published before it signs; a change counts for keys to come",
    },
    Property {
        name: PRIVATE_KEY_FILE,
        rule: Rule::OwnFile {
            variable: "MICROBUS_PRIVATE_KEY_FILE",
            credential: PRIVATE_KEY,
        },
        default: "",
        effect: "file with the private key, read again when it changes; counts more than PrivateKey",
    },
    Property {
        name: ALT_PRIVATE_KEY_FILE,
        rule: Rule::OwnFile {
            variable: "MICROBUS_ALT_PRIVATE_KEY_FILE",
            credential: ALT_PRIVATE_KEY,
        },
        default: "",
        effect: "file with the alternate key, read again when it changes; counts more than AltPrivateKey",
    },
    Property {
        name: WARM_VERIFIERS,
        rule: Rule::Switch,
        default: "true",
        effect: "show a new key to every verifier before it signs, and the current one to every verifier that starts",
    },
    ANSWER_WITHOUT_ACK,
    MINTING_PROPERTIES[0],
    MINTING_PROPERTIES[1],
    MINTING_PROPERTIES[2],
    AUDIT_PROPERTIES[0],
    AUDIT_PROPERTIES[1],
    AUDIT_PROPERTIES[2],
    AUDIT_PROPERTIES[3],
    AUDIT_PROPERTIES[4],
];

/// The configuration in force, keys aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Lifetime of a token.
    pub token_lifetime: Duration,
    /// How long a new key is published before it signs.
    pub activation_delay: Duration,
    /// Whether verifiers are shown keys before they meet them in tokens.
    pub warm_verifiers: bool,
}

impl Config {
    /// Reads the configuration from valid settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            token_lifetime: settings.duration(AUTH_TOKEN_TTL),
            activation_delay: settings.duration(ACTIVATION_DELAY),
            warm_verifiers: settings.switch(WARM_VERIFIERS),
        }
    }
}

impl Default for Config {
    /// The defaults of [`PROPERTIES`].
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_secs(720 * 60 * 60),
            activation_delay: Duration::from_secs(10),
            warm_verifiers: true,
        }
    }
}

pub(crate) const PRIVATE_KEY: &str = "PrivateKey";
pub(crate) const ALT_PRIVATE_KEY: &str = "AltPrivateKey";
pub(crate) const PRIVATE_KEY_FILE: &str = "PrivateKeyFile";
pub(crate) const ALT_PRIVATE_KEY_FILE: &str = "AltPrivateKeyFile";
const AUTH_TOKEN_TTL: &str = "AuthTokenTTL";
const ACTIVATION_DELAY: &str = "ActivationDelay";
const WARM_VERIFIERS: &str = "WarmVerifiers";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = microbus_service::default_settings(PROPERTIES).unwrap();
        assert_eq!(Config::of(&settings), Config::default());
        assert!(settings.key(PRIVATE_KEY).is_none() && settings.key(ALT_PRIVATE_KEY).is_none());
        assert_eq!(settings.own_file(PRIVATE_KEY_FILE), None);
    }

    #[test]
    fn ranges_are_those_of_the_documentation() {
        let parse = |name: &str, text: &str| {
            let property = PROPERTIES
                .iter()
                .find(|property| property.name == name)
                .unwrap();
            property.parse(text).map_err(|error| error.to_string())
        };
        assert!(parse(AUTH_TOKEN_TTL, "1m").is_ok() && parse(AUTH_TOKEN_TTL, "87600h").is_ok());
        assert_eq!(
            parse(AUTH_TOKEN_TTL, "59s").unwrap_err(),
            "AuthTokenTTL is 59s; the least allowed is 1m0s"
        );
        assert!(parse(ACTIVATION_DELAY, "1h").is_ok());
        assert!(parse(ACTIVATION_DELAY, "9s").is_err() && parse(ACTIVATION_DELAY, "61m").is_err());
    }
}
