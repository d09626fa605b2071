//! Whether the services of port 666 run alone.

use super::place::{Place, serves_danger};
use super::{Check, Finding};

pub(super) const CHECK: Check = Check {
    id: "issuers-isolated",
    what: "what shares a working directory with a service of port 666",
    expected: "nothing: a process, a directory and credentials of its own for each",
};

pub(super) fn check(places: &[Place]) -> Vec<Finding> {
    let mut alone = 0_usize;
    let mut wrong = Vec::new();
    for place in places {
        let holders: Vec<_> = place
            .readable()
            .filter(|(_, _, jwt)| serves_danger(jwt))
            .collect();
        let Some((path, _, _)) = holders.first() else {
            continue;
        };
        match place.credentials.len().saturating_sub(1) {
            0 => alone = alone.saturating_add(1),
            others => wrong.push(CHECK.fail(
                format!(
                    "{} shares its directory with {others} other credentials",
                    path.display()
                ),
                "start it as a process of its own, in a directory that holds its credentials alone",
            )),
        }
    }
    if wrong.is_empty() && alone == 0 {
        return vec![CHECK.skip("no directory holds credentials of a service of port 666")];
    }
    CHECK.all(wrong, || {
        format!("{alone} services of port 666, each alone")
    })
}
