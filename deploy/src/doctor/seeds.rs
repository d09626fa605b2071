//! Whether seeds of accounts and operators lie about: each of them can make credentials for anybody.

use super::{Check, Finding};
use crate::nkey::{Nkey, NkeyKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) const ACCOUNT: Check = Check {
    id: "account-key",
    what: "account seeds in directories, repository and environment",
    expected: "none: they are in a vault, given to the pipeline that issues credentials",
};

pub(super) const OPERATOR: Check = Check {
    id: "operator-key",
    what: "operator seeds in directories, repository and environment",
    expected: "none: they are offline",
};

/// A seed with where it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lying {
    kind: NkeyKind,
    public_key: String,
    place: String,
}

/// Looks through every file below `roots`, and the values of `environment`.
pub(super) fn search(
    roots: Vec<PathBuf>,
    environment: &BTreeMap<String, String>,
) -> (Vec<Lying>, usize) {
    let mut lying = Vec::new();
    let mut files = 0_usize;
    let mut folders = roots;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else {
                continue;
            };
            if kind.is_dir() && !is_skipped(&path) {
                folders.push(path);
            } else if kind.is_file()
                && entry
                    .metadata()
                    .is_ok_and(|data| data.len() <= LARGEST_FILE)
            {
                files = files.saturating_add(1);
                let content = fs::read(&path)
                    .map(zeroize::Zeroizing::new)
                    .unwrap_or_default();
                lying.extend(seeds_in(&content, &path.display().to_string()));
            }
        }
    }
    for (name, value) in environment {
        lying.extend(seeds_in(value.as_bytes(), &format!("the variable {name}")));
    }
    lying.sort_by(|one, other| one.place.cmp(&other.place));
    lying.dedup();
    (lying, files)
}

pub(super) fn check(lying: &[Lying], files: usize) -> Vec<Finding> {
    let of = |check: &'static Check, kind, remedy: &str| {
        let found = lying.iter().filter(|seed| seed.kind == kind);
        let wrong = found.map(|seed| {
            check.fail(
                format!("{}: the seed of {}", seed.place, seed.public_key),
                remedy,
            )
        });
        check.all(wrong.collect(), || format!("none in {files} files"))
    };
    let account = of(
        &ACCOUNT,
        NkeyKind::Account,
        "move it into a vault; if others could read it, microbus-deploy rotate-signing-key or rotate-account",
    );
    let operator = of(
        &OPERATOR,
        NkeyKind::Operator,
        "take it offline; if others could read it, set up a new operator with microbus-deploy init",
    );
    [account, operator].concat()
}

/// Returns the seeds of accounts and operators in a text; their checksum tells them from anything that looks alike.
fn seeds_in(content: &[u8], place: &str) -> Vec<Lying> {
    let windows = content.windows(SEED_LENGTH);
    let candidates =
        windows.filter(|window| window.starts_with(b"SA") || window.starts_with(b"SO"));
    candidates
        .filter_map(|window| {
            let seed = std::str::from_utf8(window).ok()?;
            let kinds = [NkeyKind::Account, NkeyKind::Operator];
            let key = kinds
                .iter()
                .find_map(|kind| Nkey::from_seed(*kind, seed).ok())?;
            Some(Lying {
                kind: key.kind(),
                public_key: key.public_key(),
                place: place.to_owned(),
            })
        })
        .collect()
}

fn is_skipped(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    matches!(name, Some(".git" | "target" | "node_modules"))
}

const SEED_LENGTH: usize = 58;
const LARGEST_FILE: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_of_accounts_and_operators_are_found_and_never_shown() {
        let seed = |kind| {
            Nkey::from_random(kind, [7; 32])
                .unwrap()
                .expose_seed()
                .unwrap()
        };
        let (account, operator, user) = (
            seed(NkeyKind::Account),
            seed(NkeyKind::Operator),
            seed(NkeyKind::User),
        );
        let text = format!(
            "x={};{}\n{} SA{}",
            *account,
            *operator,
            *user,
            "A".repeat(56)
        );
        let found = seeds_in(text.as_bytes(), "ci.log");
        let kinds: Vec<_> = found.iter().map(|seed| seed.kind).collect();
        assert_eq!(kinds, [NkeyKind::Account, NkeyKind::Operator]);
        let shown = format!("{:?}", check(&found, 1));
        assert!(!shown.contains(account.as_str()) && !shown.contains(operator.as_str()));
        assert!(shown.contains("ci.log"), "{shown}");
    }

    #[test]
    fn folders_are_looked_through_to_the_bottom() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let key = Nkey::from_random(NkeyKind::Operator, [1; 32]).unwrap();
        fs::write(
            deep.join("notes.txt"),
            key.expose_seed().unwrap().as_bytes(),
        )
        .unwrap();
        let environment =
            BTreeMap::from([("LEFT".to_owned(), key.expose_seed().unwrap().to_string())]);
        let (found, files) = search(vec![root.path().to_owned()], &environment);
        let places: Vec<_> = found.iter().map(|seed| seed.place.as_str()).collect();
        assert!(places[0].ends_with("a/b/notes.txt"), "{places:?}");
        assert_eq!((places[1], files), ("the variable LEFT", 1));
    }
}
