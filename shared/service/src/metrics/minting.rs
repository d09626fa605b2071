//! What became of requests to mint, by caller.

use super::declare::Declare;
use prometheus::core::Collector as _;
use prometheus::proto::{LabelPair, MetricFamily};
use prometheus::{Error, Histogram, IntCounter, IntCounterVec};
use serde::Serialize;
use std::collections::BTreeMap;

/// Why a token was not minted, as a label: a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The claims were not what a request may carry.
    Malformed,
    /// No key signs yet.
    NoKey,
    /// The caller is not among `Minters`.
    NotAMinter,
    /// The final claims do not meet the caller's `MintPolicy`, or the policy itself is bad.
    Policy,
    /// The caller asked for more tokens than `MintRatePerCaller` allows.
    Rate,
    /// The decision could not be recorded in the audit trail.
    Audit,
    /// The claims were refused by the issuer: a claim name, or a claims transformer.
    Claims,
    /// What was signed does not verify.
    Signature,
}

impl Reason {
    /// Returns the reason as a label and in the audit trail, such as `no_key`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoKey => "no_key",
            Self::NotAMinter => "not_a_minter",
            Self::Policy => "policy",
            Self::Rate => "rate",
            Self::Audit => "audit",
            Self::Claims => "claims",
            Self::Signature => "signature",
        }
    }
}

/// What became of one caller's requests to mint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct CallerCount {
    pub(crate) caller: String,
    pub(crate) minted: u64,
    pub(crate) refused: u64,
}

/// The metrics of minting.
#[derive(Debug)]
pub(crate) struct Minted {
    minted: IntCounterVec,
    refused: IntCounterVec,
    pub(crate) judging: Histogram,
    pub(crate) signing: Histogram,
    pub(crate) lifetime: Histogram,
    pub(crate) first_seen: IntCounter,
}

impl Minted {
    pub(super) fn declare(declare: &Declare<'_>) -> Result<Self, Error> {
        let durations = declare.histograms(
            "microbus_token_mint_duration_seconds",
            "Time to read and judge the claims (parse), and to sign them (sign) [seconds]",
            &["phase"],
            MINT_SECONDS,
        )?;
        Ok(Self {
            minted: declare.counters(
                "microbus_token_minted_total",
                "Tokens minted, by the caller that the broker vouches for",
                &["caller"],
            )?,
            refused: declare.counters(
                "microbus_token_mint_refused_total",
                "Requests to mint that were refused",
                &["caller", "reason"],
            )?,
            judging: durations.with_label_values(&["parse"]),
            signing: durations.with_label_values(&["sign"]),
            lifetime: declare.histogram(
                "microbus_token_lifetime_seconds",
                "Lifetimes of the tokens minted [seconds]",
                LIFETIME_SECONDS,
            )?,
            first_seen: declare.counter(
                "microbus_token_first_seen_callers_total",
                "Callers that had not minted since the start of the process",
            )?,
        })
    }

    /// Returns the counter of the tokens of `caller`, to be kept.
    pub(crate) fn of(&self, caller: &str) -> IntCounter {
        self.minted.with_label_values(&[caller])
    }

    /// Returns what became of each caller's requests, those who got most first.
    pub(crate) fn by_caller(&self) -> Vec<CallerCount> {
        let mut callers = BTreeMap::<String, CallerCount>::new();
        for (counters, is_minted) in [(&self.minted, true), (&self.refused, false)] {
            let families = counters.collect();
            for metric in families.iter().flat_map(MetricFamily::get_metric) {
                let caller = metric
                    .get_label()
                    .iter()
                    .find(|label| label.name() == "caller");
                let caller = caller.map(LabelPair::value).unwrap_or_default();
                let entry = callers.entry(caller.to_owned()).or_default();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a counter of whole numbers"
                )]
                let count = metric.get_counter().get_value() as u64;
                if is_minted {
                    entry.minted = count;
                } else {
                    entry.refused = entry.refused.saturating_add(count);
                }
            }
        }
        let mut counts: Vec<_> = callers
            .into_iter()
            .map(|(caller, count)| CallerCount { caller, ..count })
            .collect();
        counts.sort_by_key(|count| std::cmp::Reverse(count.minted));
        counts
    }

    /// Counts a refusal.
    pub(crate) fn refused(&self, caller: &str, reason: Reason) {
        self.refused
            .with_label_values(&[caller, reason.as_str()])
            .inc();
    }
}

const MINT_SECONDS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1,
];
/// From the time budgets of requests to the lifetimes of bearer tokens.
const LIFETIME_SECONDS: &[f64] = &[
    1.0,
    5.0,
    20.0,
    60.0,
    300.0,
    900.0,
    3600.0,
    86_400.0,
    604_800.0,
    2_592_000.0,
    31_536_000.0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn callers_are_listed_by_what_they_got_with_all_their_refusals() {
        let metrics = fixture::metrics();
        let minted = &metrics.minted;
        minted.of("few").inc();
        minted.of("many").inc_by(3);
        minted.refused("few", Reason::Policy);
        minted.refused("few", Reason::Rate);
        minted.refused("none", Reason::NotAMinter);
        let counts: Vec<_> = minted
            .by_caller()
            .into_iter()
            .map(|count| (count.caller, count.minted, count.refused))
            .collect();
        let expected = [("many", 3, 0), ("few", 1, 2), ("none", 0, 1)];
        let expected =
            expected.map(|(caller, minted, refused)| (caller.to_owned(), minted, refused));
        assert_eq!(counts, expected);
    }
}
