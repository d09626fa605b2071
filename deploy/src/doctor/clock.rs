//! Whether the clocks agree: tokens that live seconds are judged by them.

use super::{Check, Finding};
use crate::broker::ServerReport;
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) const CHECK: Check = Check {
    id: "clock",
    what: "the clock of this machine against those of the servers",
    expected: "within 2 s; from 5 s on, tokens are refused",
};

/// Judges the time that each server stamped on its answer, which was asked for and received at `between`.
pub(super) fn check(servers: &[ServerReport], between: [SystemTime; 2]) -> Vec<Finding> {
    let [asked, received] = between.map(OffsetDateTime::from);
    let mut wrong = Vec::new();
    let mut worst = 0.0_f64;
    for server in servers {
        let Ok(theirs) = OffsetDateTime::parse(&server.time, &Rfc3339) else {
            wrong.push(CHECK.unknown(
                format!("{} tells no time", server.name),
                "compare the clocks by hand",
            ));
            continue;
        };
        // A clock that agrees says a time in between.
        let apart = (asked - theirs).max(theirs - received);
        let apart = apart.as_seconds_f64().max(0.0);
        worst = worst.max(apart);
        let found = format!("{} and this machine are {apart:.1} s apart", server.name);
        let remedy = "let both follow a time server";
        if apart > 5.0 {
            wrong.push(CHECK.fail(found, remedy));
        } else if apart > 2.0 {
            wrong.push(CHECK.warn(found, remedy));
        }
    }
    CHECK.all(wrong, || format!("{worst:.1} s apart at most"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn seconds_apart_are_named() {
        let server = ServerReport {
            id: String::new(),
            name: "n1".to_owned(),
            time: "1970-01-01T00:01:40.123456789Z".to_owned(),
            settings: serde_json::Value::Null,
        };
        for (seconds, verdict) in [
            (100, Verdict::Pass),
            (103, Verdict::Warn),
            (90, Verdict::Fail),
        ] {
            let now = UNIX_EPOCH + Duration::from_secs(seconds);
            let between = [now, now + Duration::from_millis(600)];
            assert_eq!(
                check(std::slice::from_ref(&server), between)[0].verdict,
                verdict
            );
        }
    }
}
