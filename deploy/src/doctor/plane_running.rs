//! Whether running processes use the plane that they would be told now: it is read at start only.

use super::place::Place;
use super::{Check, Finding};
use crate::broker::ConnectionReport;
use crate::broker::service::Own;
use crate::jwt::Jwt;
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    id: "plane-running",
    what: "the plane that each running service subscribes on",
    expected: "the one of its working directory",
};

pub(super) fn check(places: &[Place], connections: &[ConnectionReport]) -> Vec<Finding> {
    let mut wrong = Vec::new();
    let mut running = 0_usize;
    for place in places {
        let Ok(plane) = place.plane() else { continue };
        let hosts: BTreeSet<_> = place
            .readable()
            .filter_map(|(_, _, jwt)| Own::of(jwt).map(|own| own.host()))
            .collect();
        for connection in connections {
            let Some(own) = Jwt::read(&connection.jwt)
                .ok()
                .and_then(|jwt| Own::of(&jwt))
            else {
                continue;
            };
            if !hosts.contains(&own.host()) {
                continue;
            }
            running = running.saturating_add(1);
            let used: BTreeSet<_> = connection
                .subscriptions_list
                .iter()
                .filter_map(|subject| subject.split('.').next())
                .filter(|first| *first != "_INBOX" && *first != plane.as_str())
                .collect();
            if !used.is_empty() {
                let used: Vec<_> = used.into_iter().collect();
                wrong.push(CHECK.fail(
                    format!(
                        "{} runs on the plane {}, and {} says {}",
                        own.host(),
                        used.join(", "),
                        place.directory.display(),
                        plane.as_str()
                    ),
                    "restart it: MICROBUS_PLANE is read at start only",
                ));
            }
        }
    }
    if wrong.is_empty() && running == 0 {
        return vec![CHECK.skip("no service of these directories is connected")];
    }
    CHECK.all(wrong, || {
        format!("{running} connections on the plane of their directory")
    })
}
