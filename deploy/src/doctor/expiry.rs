//! Whether credentials outlive the next deployments.

use super::place::Place;
use super::{Check, Finding};
use crate::date::unix;
use std::time::{Duration, SystemTime};

pub(super) const CHECK: Check = Check {
    id: "expiry",
    what: "how long credentials are valid",
    expected: "twice the time between two deployments, or without an end",
};

pub(super) fn check(places: &[Place], cadence: Duration, now: SystemTime) -> Vec<Finding> {
    let now = unix(now);
    let needed = i64::try_from(cadence.as_secs().saturating_mul(2)).unwrap_or(i64::MAX);
    let mut wrong = Vec::new();
    let mut files = 0_usize;
    for (path, _, jwt) in places.iter().flat_map(Place::readable) {
        files = files.saturating_add(1);
        let path = path.display();
        let issue = "issue it anew with microbus-deploy creds --expiration, and deploy";
        match jwt.exp.map(|end| end.saturating_sub(now)) {
            Some(left) if left <= 0 => wrong.push(CHECK.fail(
                format!(
                    "{path} expired {} ago; the broker refuses it",
                    hours(left.saturating_neg())
                ),
                issue,
            )),
            Some(left) if left < needed => {
                wrong.push(CHECK.warn(format!("{path} expires in {}", hours(left)), issue));
            }
            Some(_) | None => {}
        }
        if jwt.nbf.is_some_and(|begin| begin > now) {
            wrong.push(CHECK.fail(format!("{path} is not valid yet"), "wait, or set the clock"));
        }
    }
    CHECK.all(wrong, || format!("{files} files last long enough"))
}

fn hours(seconds: i64) -> String {
    match seconds {
        i64::MIN..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}
