//! `audit-log verify`: whether a line of the audit trail is missing.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use microbus_audit::{Chain, Entry};
use serde_json::Value;
use std::process::Command;

/// Verifies `trail`; what is printed, what is complained of, how it ended.
fn verified(trail: &str, more: &[&str]) -> (String, String, Option<i32>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access-token.jsonl");
    std::fs::write(&file, trail).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_microbus-deploy"))
        .args(["audit-log", "verify"])
        .arg(&file)
        .args(more)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        text(&output.stdout),
        text(&output.stderr),
        output.status.code(),
    )
}

fn lines(count: usize) -> Vec<String> {
    let mut chain = Chain::default();
    let entry = |number: usize| Entry {
        caller: format!("caller-{number}.example"),
        outcome: "minted",
        ..Entry::default()
    };
    (0..count)
        .map(|number| chain.append(&entry(number)))
        .collect()
}

#[test]
fn a_whole_trail_holds_from_its_start_to_its_head() {
    let trail = lines(3).concat();
    let head = Chain::after(trail.as_bytes()).head().to_string();
    let (shown, _, exit) = verified(&trail, &["--after", "start", "--head", &head, "--json"]);
    assert_eq!(exit, Some(0));
    let json: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&json["lines"], &json["head"]),
        (&3.into(), &head.as_str().into())
    );
    let (shown, _, exit) = verified(&trail, &[]);
    assert!(
        shown.contains("3 lines") && shown.contains(&head),
        "{shown}"
    );
    assert_eq!(exit, Some(0));
}

#[test]
fn a_rotated_file_follows_the_one_before() {
    let all = lines(4);
    let (first, second) = all.split_at(2);
    let head = Chain::after(first.concat().as_bytes()).head().to_string();
    let (_, _, exit) = verified(&second.concat(), &["--after", &head]);
    assert_eq!(exit, Some(0));
    let (_, complained, exit) = verified(&second.concat(), &["--after", "start"]);
    assert_eq!(exit, Some(1));
    assert!(complained.contains("line 1 follows"), "{complained}");
}

#[test]
fn what_was_changed_removed_or_cut_off_is_named() {
    let all = lines(3);
    let head = Chain::after(all.concat().as_bytes()).head().to_string();
    let [first, second, third] = [0, 1, 2].map(|at| all.get(at).unwrap().as_str());
    let changed = second.replace("caller-1", "caller-9");
    for (trail, said) in [
        ([first, &changed, third].concat(), "line 3 follows"),
        ([first, third].concat(), "line 2 follows"),
        (
            [first, "{\"caller\":\"x\"}\n"].concat(),
            "line 2 has no link",
        ),
    ] {
        let (_, complained, exit) = verified(&trail, &[]);
        assert!(complained.contains(said) && exit == Some(1), "{complained}");
    }
    // A chain whose end is cut off holds by itself: only the head that was noted tells.
    let cut = [first, second].concat();
    assert_eq!(verified(&cut, &[]).2, Some(0));
    let (_, complained, exit) = verified(&cut, &["--head", &head]);
    assert!(
        complained.contains("cut off") && exit == Some(1),
        "{complained}"
    );
}

#[test]
fn lines_that_were_written_after_the_head_was_noted_are_fine() {
    let all = lines(3);
    let head = Chain::after(all.first().unwrap().as_bytes())
        .head()
        .to_string();
    assert_eq!(verified(&all.concat(), &["--head", &head]).2, Some(0));
}

#[test]
fn a_digest_that_is_none_is_a_usage_error() {
    let (_, complained, exit) = verified("", &["--after", "yesterday"]);
    assert_eq!(exit, Some(2));
    assert!(complained.contains("64 hexadecimal digits"), "{complained}");
}
