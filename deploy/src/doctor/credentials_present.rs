//! Whether each service finds credentials of its own.

use super::place::Place;
use super::{Check, Finding};
use crate::broker::service::Own;

pub(super) const CHECK: Check = Check {
    id: "creds-present",
    what: "the credentials in each working directory",
    expected: "<hostname>_nats.creds for each service, readable, of that host",
};

pub(super) fn check(places: &[Place], services: &[String]) -> Vec<Finding> {
    let mut wrong: Vec<_> = places.iter().flat_map(look).collect();
    for service in services {
        let name = format!("{service}_nats.creds");
        let is_there = |place: &Place| place.files.iter().any(|(path, _)| path.ends_with(&name));
        if !places.iter().any(is_there) {
            wrong.push(CHECK.fail(
                format!("no directory holds {name}"),
                format!("issue it with microbus-deploy creds, and put it where {service} starts"),
            ));
        }
    }
    CHECK.all(wrong, || {
        let files: usize = places.iter().map(|place| place.credentials.len()).sum();
        format!("{files} files, each of one service")
    })
}

fn look(place: &Place) -> Vec<Finding> {
    let directory = place.directory.display();
    if place.credentials.is_empty() {
        return vec![CHECK.fail(
            format!("{directory} holds no credentials; the broker refuses whoever starts there"),
            "put <hostname>_nats.creds of each service there",
        )];
    }
    let mut wrong = Vec::new();
    for file in &place.credentials {
        let path = file.path.display();
        let jwt = match &file.content {
            Ok((_, jwt)) => jwt,
            Err(error) => {
                wrong.push(CHECK.fail(format!("{path}: {error}"), "issue it again"));
                continue;
            }
        };
        let name = file
            .path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        match (name.strip_suffix("_nats.creds"), Own::of(jwt)) {
            (None, _) if name == "nats.creds" => wrong.push(CHECK.warn(
                format!("{path} is shared by every service that starts there, and the broker cannot tell them apart"),
                "issue <hostname>_nats.creds for each service, and remove it",
            )),
            (Some(host), Some(own)) if own.host() != host => wrong.push(CHECK.fail(
                format!("{path} is that of {}; {host} could not speak with it", own.host()),
                "rename it, or issue the right one",
            )),
            (Some(_), None) => wrong.push(CHECK.fail(
                format!("{path} does not let its service speak as itself"),
                "issue it with microbus-deploy creds",
            )),
            (_, _) => {}
        }
    }
    wrong
}
