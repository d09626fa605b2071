//! Whether others may read what is secret.

use super::place::Place;
use super::{Check, Finding};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

pub(super) const CHECK: Check = Check {
    id: "secrets-modes",
    what: "who may read credentials, seeds, private keys and *.local.yaml",
    expected: "their owner alone (0600), in a directory that others cannot write",
};

pub(super) fn check(places: &[Place]) -> Vec<Finding> {
    let wrong: Vec<_> = places.iter().flat_map(look).collect();
    CHECK.all(wrong, || {
        let secrets = places.iter().flat_map(|place| &place.files);
        let secrets = secrets.filter(|(path, _)| is_secret(path)).count();
        format!("{secrets} files, none open to others")
    })
}

fn look(place: &Place) -> Vec<Finding> {
    let mut wrong = Vec::new();
    for (path, mode) in place.files.iter().filter(|(path, _)| is_secret(path)) {
        let shown = path.display();
        let remedy = format!("chmod 600 {shown}");
        if mode & 0o007 != 0 {
            wrong.push(CHECK.fail(
                format!("{shown} has mode {mode:04o}: everybody on this machine reads it"),
                remedy,
            ));
        } else if mode & 0o070 != 0 {
            wrong.push(CHECK.warn(
                format!("{shown} has mode {mode:04o}: its group reads it"),
                remedy,
            ));
        }
    }
    let mode = fs::metadata(&place.directory).map(|metadata| metadata.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o002 != 0) {
        let directory = place.directory.display();
        wrong.push(CHECK.fail(
            format!("everybody may write into {directory}, and replace credentials"),
            format!("chmod o-w {directory}"),
        ));
    }
    wrong
}

fn is_secret(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    [".creds", ".nk", ".local.yaml", "key.pem"]
        .iter()
        .any(|end| name.ends_with(end))
}
