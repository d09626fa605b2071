//! Whether it is written down what to do about a leak.

use super::{Check, Finding};
use std::path::Path;

pub(super) const CHECK: Check = Check {
    id: "runbook",
    what: "the runbook for leaked credentials and a compromised account key",
    expected: "a file that says how to revoke and how to rotate",
};

pub(super) fn check(runbook: Option<&Path>) -> Finding {
    let Some(runbook) = runbook else {
        return CHECK.skip("no file named with --runbook");
    };
    let shown = runbook.display();
    let remedy = "write it, or keep the pages of this product's runbook beside it";
    match std::fs::read_to_string(runbook) {
        Err(error) => CHECK.fail(format!("{shown}: {error}"), remedy),
        Ok(text) => {
            let text = text.to_lowercase();
            let missing: Vec<_> = ["revoke", "rotate"]
                .into_iter()
                .filter(|word| !text.contains(word))
                .collect();
            if missing.is_empty() {
                CHECK.pass(format!("{shown} says how to revoke and how to rotate"))
            } else {
                CHECK.warn(
                    format!("{shown} does not say how to {}", missing.join(" or ")),
                    remedy,
                )
            }
        }
    }
}
