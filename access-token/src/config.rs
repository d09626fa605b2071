//! The properties of access.token.core: name on the wire, range, default, effect.
//!
//! Source: spec: microbus-wire 8.4, 11.1.

use microbus_service::{
    ANSWER_WITHOUT_ACK, AUDIT_PROPERTIES, MINTING_PROPERTIES, Property, Rule, Settings,
};
use microbus_token::ACCESS_CEILING;
use std::time::Duration;

/// Everything that can be configured.
pub const PROPERTIES: &[Property] = &[
    Property {
        name: KEY_ROTATION_INTERVAL,
        rule: Rule::Duration {
            least: Duration::from_secs(2 * 60 * 60),
            most: None,
        },
        default: "6h",
        effect: "age at which the signing key is replaced; a change counts for the current key too",
    },
    Property {
        name: DEFAULT_TOKEN_LIFETIME,
        rule: LIFETIME,
        default: "20s",
        effect: "lifetime of a token whose request carries no time budget",
    },
    Property {
        name: MAX_TOKEN_LIFETIME,
        rule: LIFETIME,
        default: "15m",
        effect: "longest lifetime of any token, whatever the time budget",
    },
    Property {
        name: REFUSE_LITERAL_CLAIM_NAMES,
        rule: Rule::Switch,
        default: "false",
        effect: "refuse to mint claims whose name an expression takes for a literal, instead of warning",
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

/// The configuration in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Age at which the signing key is replaced.
    pub key_rotation_interval: Duration,
    /// Lifetime where the request carries no time budget.
    pub default_token_lifetime: Duration,
    /// Longest lifetime of any token.
    pub max_token_lifetime: Duration,
    /// Whether claim names that expressions take for literals are refused.
    pub refuse_literal_claim_names: bool,
    /// Whether verifiers are shown keys before they meet them in tokens.
    pub warm_verifiers: bool,
}

impl Config {
    /// Reads the configuration from valid settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            key_rotation_interval: settings.duration(KEY_ROTATION_INTERVAL),
            default_token_lifetime: settings.duration(DEFAULT_TOKEN_LIFETIME),
            max_token_lifetime: settings.duration(MAX_TOKEN_LIFETIME),
            refuse_literal_claim_names: settings.switch(REFUSE_LITERAL_CLAIM_NAMES),
            warm_verifiers: settings.switch(WARM_VERIFIERS),
        }
    }

    /// Returns how long a token lives: the caller's time budget or the default, capped, and never above 15 minutes.
    ///
    /// Source: spec: microbus-wire 11.1; the Go service ignores its own `DefaultTokenLifetime`.
    #[must_use]
    pub fn lifetime(&self, given_budget: Option<Duration>) -> Duration {
        given_budget
            .unwrap_or(self.default_token_lifetime)
            .min(self.max_token_lifetime)
            .min(ACCESS_CEILING)
    }
}

impl Default for Config {
    /// The defaults of [`PROPERTIES`].
    fn default() -> Self {
        Self {
            key_rotation_interval: Duration::from_secs(6 * 60 * 60),
            default_token_lifetime: Duration::from_secs(20),
            max_token_lifetime: ACCESS_CEILING,
            refuse_literal_claim_names: false,
            warm_verifiers: true,
        }
    }
}

const LIFETIME: Rule = Rule::Duration {
    least: Duration::from_secs(1),
    most: Some(ACCESS_CEILING),
};
const KEY_ROTATION_INTERVAL: &str = "KeyRotationInterval";
const DEFAULT_TOKEN_LIFETIME: &str = "DefaultTokenLifetime";
const MAX_TOKEN_LIFETIME: &str = "MaxTokenLifetime";
const WARM_VERIFIERS: &str = "WarmVerifiers";
const REFUSE_LITERAL_CLAIM_NAMES: &str = "RefuseLiteralClaimNames";

#[cfg(test)]
mod tests {
    use super::*;

    fn config(default: u64, max: u64) -> Config {
        Config {
            key_rotation_interval: Duration::from_secs(6 * 60 * 60),
            default_token_lifetime: Duration::from_secs(default),
            max_token_lifetime: Duration::from_secs(max),
            refuse_literal_claim_names: false,
            warm_verifiers: true,
        }
    }

    #[test]
    fn a_lifetime_is_the_budget_capped_or_the_default() {
        let seconds = |config: Config, budget: Option<u64>| {
            config.lifetime(budget.map(Duration::from_secs)).as_secs()
        };
        assert_eq!(seconds(config(20, 900), Some(5)), 5);
        assert_eq!(seconds(config(20, 900), None), 20);
        assert_eq!(seconds(config(20, 5), Some(60)), 5);
        assert_eq!(seconds(config(20, 5), None), 5);
        assert_eq!(
            seconds(config(20, 9000), Some(9000)),
            900,
            "the ceiling is not configurable"
        );
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = microbus_service::default_settings(PROPERTIES).unwrap();
        assert_eq!(Config::of(&settings), Config::default());
    }
}
