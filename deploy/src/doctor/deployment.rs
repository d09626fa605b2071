//! Whether processes run as in production.

use super::place::Place;
use super::{Check, Finding};
use microbus_service::Deployment;

pub(super) const CHECK: Check = Check {
    id: "deployment",
    what: "the deployment that each process runs as",
    expected: "MICROBUS_DEPLOYMENT=PROD (LAB on a test bench)",
};

pub(super) fn check(places: &[Place]) -> Vec<Finding> {
    let wrong: Vec<_> = places.iter().filter_map(look).collect();
    CHECK.all(wrong, || {
        format!("PROD or LAB in {} directories", places.len())
    })
}

fn look(place: &Place) -> Option<Finding> {
    let directory = place.directory.display();
    let remedy = "set MICROBUS_DEPLOYMENT=PROD in the environment of the process and restart it";
    let found = match Deployment::of(&place.environment) {
        Ok(Deployment::Prod | Deployment::Lab) => return None,
        Ok(Deployment::Testing) => {
            format!("{directory}: TESTING accepts unsigned tokens and reads no configuration")
        }
        Ok(Deployment::Local) => {
            format!(
                "{directory}: LOCAL opens every port but 666 and 888 at the ingress, and answers with details"
            )
        }
        Err(problem) => format!("{directory}: {problem}"),
    };
    Some(CHECK.fail(found, remedy))
}
