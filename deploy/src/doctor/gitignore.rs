//! Whether secrets can get into the repository, or are in it already.

use super::git::Git;
use super::{Check, Finding};
use std::path::Path;

pub(super) const CHECK: Check = Check {
    id: "gitignore",
    what: "*.creds, *.nk and *.local.yaml in the repository",
    expected: "ignored everywhere, and never committed",
};

pub(super) fn check(repository: Option<&Path>) -> Vec<Finding> {
    let Some(repository) = repository else {
        return vec![CHECK.skip("no repository named with --repository")];
    };
    let shown = repository.display();
    let Some(git) = Git::open(repository) else {
        return vec![CHECK.unknown(
            format!("{shown} is in no git repository, or git is not installed"),
            "name the repository that the application is built from, where git is",
        )];
    };
    let mut wrong = Vec::new();
    let loose: Vec<_> = PROBES
        .into_iter()
        .filter(|name| !git.ignores(name))
        .collect();
    if !loose.is_empty() {
        wrong.push(CHECK.fail(
            format!("not ignored: {}", loose.join(", ")),
            format!("add *.creds, *.nk and *.local.yaml to {shown}/.gitignore"),
        ));
    }
    let committed = git.added(&SECRETS);
    for (commit, file) in &committed {
        wrong.push(CHECK.fail(
            format!("{file} was committed in {commit}"),
            "it stays in every clone: issue it anew, and microbus-deploy revoke the old one",
        ));
    }
    let staged = git.staged(&SECRETS);
    for file in staged
        .iter()
        .filter(|file| committed.iter().all(|(_, known)| known != *file))
    {
        wrong.push(CHECK.fail(
            format!("{file} is about to be committed"),
            format!("git rm --cached {file}"),
        ));
    }
    CHECK.all(wrong, || {
        "ignored at the root and below, and nowhere in the history".to_owned()
    })
}

/// Names as a deployment has them, at the root and below.
const PROBES: [&str; 6] = [
    "doctor.example_nats.creds",
    "deploy/creds/doctor.example_nats.creds",
    "doctor.example_user.nk",
    "secrets/account.nk",
    "config.local.yaml",
    "main/env.local.yaml",
];
const SECRETS: [&str; 3] = ["*.creds", "*.nk", "*.local.yaml"];
