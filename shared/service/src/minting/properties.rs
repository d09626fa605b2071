//! Who may mint, what and how much: the properties of both issuers.

use super::minters::Minters;
use super::policy::MintPolicy;
use crate::property::{Property, Rule};
use crate::rate::Limit;
use crate::settings::Settings;

/// Who may mint, what and how much: the configurator can only narrow the first two.
pub const MINTING_PROPERTIES: [Property; 3] = [
    Property {
        name: MINTERS,
        rule: Rule::Minters,
        default: "",
        effect: "hosts that may mint, separated by commas; none are all that the broker lets through",
    },
    Property {
        name: MINT_POLICY,
        rule: Rule::MintPolicy,
        default: "",
        effect: "YAML map from caller host to an expression that the final claims must meet",
    },
    Property {
        name: MINT_RATE_PER_CALLER,
        rule: Rule::Count {
            least: 0,
            most: 1_000_000,
        },
        default: "0",
        effect: "tokens per second that each caller may mint here, and as many at once; 0 is no limit",
    },
];

/// The rules in force.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) minters: Minters,
    pub(super) policy: MintPolicy,
    pub(super) rate: Option<Limit>,
}

impl Rules {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            minters: settings.minters(MINTERS),
            policy: settings.mint_policy(MINT_POLICY),
            rate: Limit::per_second(settings.count(MINT_RATE_PER_CALLER)),
        }
    }

    /// Tells whether what a caller may do depends on who it is.
    pub(super) fn tell_callers_apart(&self) -> bool {
        self.minters.restricts() || self.policy.restricts() || self.rate.is_some()
    }
}

const MINTERS: &str = "Minters";
const MINT_POLICY: &str = "MintPolicy";
const MINT_RATE_PER_CALLER: &str = "MintRatePerCaller";
