//! Whether a deployment is as the operator's guide wants it: a file per check, each of which says what it looks at, what
//! is expected, what it found, and what to do.
//!
//! It changes nothing: it reads files, asks brokers and issuers, and tries what must be refused. A check that nobody asked
//! for counts neither as passed nor as failed. Source: spec: deploy 7, 8, 9.

mod alerts;
mod broker_accounts;
mod broker_external;
mod broker_limits;
mod broker_monitor;
mod broker_opmode;
mod broker_tls;
mod certificate;
mod chain;
mod clock;
mod credentials_accepted;
mod credentials_present;
mod deployment;
mod enforcement;
mod examination;
mod expiry;
mod first_verification;
mod git;
mod gitignore;
mod ingress;
mod issuers_isolated;
mod issuers_up;
mod nats_url;
mod place;
mod plane;
mod plane_running;
mod runbook;
mod secrets_modes;
mod seeds;

pub use examination::{DirectoryError, Request, examine};

use serde::Serialize;

/// One thing that is looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// What `--only` and `--skip` call it.
    pub id: &'static str,
    /// What it looks at.
    pub what: &'static str,
    /// What a good deployment has.
    pub expected: &'static str,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Not as it should be, but it works.
    Warn,
    /// Wrong.
    Fail,
    /// Nobody asked, or there is nothing to look at.
    Skip,
    /// It was asked for and could not be told.
    Unknown,
}

/// A check with what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub id: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// What it looks at.
    pub what: &'static str,
    /// What a good deployment has.
    pub expected: &'static str,
    /// What is there.
    pub found: String,
    /// What to do; `None` when nothing is.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    fn finding(&self, verdict: Verdict, found: String, remedy: Option<String>) -> Finding {
        Finding {
            id: self.id,
            verdict,
            what: self.what,
            expected: self.expected,
            found,
            remedy,
        }
    }

    fn pass(&self, found: impl Into<String>) -> Finding {
        self.finding(Verdict::Pass, found.into(), None)
    }

    fn warn(&self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Verdict::Warn, found.into(), Some(remedy.into()))
    }

    fn fail(&self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Verdict::Fail, found.into(), Some(remedy.into()))
    }

    fn skip(&self, found: impl Into<String>) -> Finding {
        self.finding(Verdict::Skip, found.into(), None)
    }

    fn unknown(&self, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.finding(Verdict::Unknown, found.into(), Some(remedy.into()))
    }

    /// Returns what went wrong, or that nothing did.
    fn all(&self, wrong: Vec<Finding>, good: impl FnOnce() -> String) -> Vec<Finding> {
        if wrong.is_empty() {
            return vec![self.pass(good())];
        }
        wrong
    }
}

/// Every check, in the order of the guide.
pub const CHECKS: [&Check; 27] = [
    &broker_opmode::REACHABLE,
    &broker_opmode::CHECK,
    &broker_accounts::CHECK,
    &broker_external::CHECK,
    &broker_monitor::CHECK,
    &broker_tls::CHECK,
    &broker_limits::CHECK,
    &enforcement::CHECK,
    &clock::CHECK,
    &ingress::TLS,
    &ingress::PORTS,
    &deployment::CHECK,
    &nats_url::CHECK,
    &plane::CHECK,
    &plane_running::CHECK,
    &credentials_present::CHECK,
    &credentials_accepted::CHECK,
    &expiry::CHECK,
    &secrets_modes::CHECK,
    &issuers_up::CHECK,
    &first_verification::CHECK,
    &issuers_isolated::CHECK,
    &seeds::ACCOUNT,
    &seeds::OPERATOR,
    &gitignore::CHECK,
    &alerts::CHECK,
    &runbook::CHECK,
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_check_has_a_name_of_its_own_and_says_what_is_expected() {
        let names: BTreeSet<_> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(names.len(), CHECKS.len());
        for check in CHECKS {
            assert!(
                !check.what.is_empty() && !check.expected.is_empty(),
                "{check:?}"
            );
        }
    }
}
