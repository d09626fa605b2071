//! `audit-log verify` as an auditor meets it.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use microbus_audit::{Chain, Entry};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A trail in two files.
struct Trail {
    folder: TempDir,
    head: String,
}

impl Trail {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut chain = Chain::default();
        for (file, callers) in [("audit.jsonl.1", ["a", "b"]), ("audit.jsonl", ["c", "d"])] {
            let lines = callers.map(|caller| {
                let entry = Entry {
                    caller,
                    ..Entry::default()
                };
                chain.append(&entry.to_json())
            });
            std::fs::write(folder.path().join(file), lines.concat()).unwrap();
        }
        let head = chain.head().to_string();
        Self { folder, head }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the exit code and what was printed.
    fn verify(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_microbus-deploy"))
            .args(["audit-log", "verify"])
            .args(arguments)
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    }
}

const BOTH: [&str; 2] = ["audit.jsonl.1", "audit.jsonl"];

#[test]
fn a_whole_trail_is_followed_through_its_files_and_its_head_is_told() {
    let trail = Trail::new();
    let (exit, said) = trail.verify(&BOTH);
    assert_eq!(exit, 0, "{said}");
    assert!(
        said.contains("whole: 4 lines") && said.contains(&trail.head),
        "{said}"
    );
    let zeros = "0".repeat(64);
    let known = ["--after", &zeros, "--head", &trail.head, "--json"];
    let (exit, said) = trail.verify(&[&known[..], &BOTH].concat());
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((exit, json["lines"].as_u64()), (0, Some(4)), "{said}");
    assert_eq!(json["head"], trail.head.as_str());
}

#[test]
fn a_trail_may_have_grown_since_its_head_was_noted() {
    let trail = Trail::new();
    let (_, said) = trail.verify(&["audit.jsonl.1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    let noted = json["head"].as_str().unwrap();
    let (exit, said) = trail.verify(&[&["--head", noted][..], &BOTH].concat());
    assert_eq!(exit, 0, "{said}");
}

#[test]
fn what_was_removed_at_either_end_or_between_shows() {
    let trail = Trail::new();
    let zeros = "0".repeat(64);
    for arguments in [
        &["--after", &zeros, "audit.jsonl"][..],
        &["--head", &trail.head, "audit.jsonl.1"],
        &["audit.jsonl", "audit.jsonl.1"],
    ] {
        let (exit, said) = trail.verify(arguments);
        assert_eq!(exit, 1, "{arguments:?}: {said}");
        assert!(said.starts_with("broken: "), "{said}");
    }
    let file = trail.file("audit.jsonl.1");
    let changed = std::fs::read_to_string(&file)
        .unwrap()
        .replace("\"a\"", "\"x\"");
    std::fs::write(&file, changed).unwrap();
    let (exit, said) = trail.verify(&BOTH);
    assert_eq!(exit, 1);
    assert!(said.contains("audit.jsonl.1: line 2 follows"), "{said}");
}

#[test]
fn a_torn_line_is_told_an_empty_trail_tells_nothing_and_a_missing_one_is_named() {
    let trail = Trail::new();
    let file = trail.file("audit.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.get(..text.len() - 9).unwrap()).unwrap();
    let (exit, said) = trail.verify(&BOTH);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("torn   line 4"), "{said}");
    std::fs::write(&file, "").unwrap();
    assert_eq!(trail.verify(&["audit.jsonl"]).0, 5);
    let (exit, said) = trail.verify(&["elsewhere.jsonl"]);
    assert_eq!(exit, 78);
    assert!(said.contains("elsewhere.jsonl"), "{said}");
    assert_eq!(trail.verify(&["--head", "abc", "audit.jsonl"]).0, 2);
}
