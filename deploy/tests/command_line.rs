//! The command line as an operator meets it: help, completions, manual pages.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::path::Path;
use std::process::{Command, Output};

fn microbus_deploy(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_microbus-deploy"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Returns the verbs that the help lists.
fn verbs() -> Vec<String> {
    let help = text(&microbus_deploy(&["--help"]).stdout);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let listed = commands.lines().filter(|line| !line.starts_with("   "));
    listed
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_verb_explains_itself() {
    let verbs = verbs();
    assert!(verbs.contains(&"completions".to_owned()), "{verbs:?}");
    for verb in verbs {
        let help = microbus_deploy(&[&verb, "--help"]);
        assert!(help.status.success(), "{verb}");
        let help = text(&help.stdout);
        assert!(help.contains("Usage: microbus-deploy"), "{verb}: {help}");
        assert!(help.contains("Example"), "{verb} shows no example: {help}");
    }
}

/// The help is a promise to scripts and to whoever learned it: a change shows in the diff of its golden.
#[test]
fn the_help_of_each_verb_is_its_golden() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    for verb in verbs() {
        let golden = goldens.join(format!("{verb}.txt"));
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        let help = text(&microbus_deploy(&[&verb, "--help"]).stdout);
        assert!(
            help == expected,
            "if this is meant: microbus-deploy {verb} --help > deploy/tests/help/{verb}.txt\n{help}"
        );
    }
}

#[test]
fn each_verb_has_a_manual_page_and_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let written = microbus_deploy(&["man", folder.path().to_str().unwrap()]);
    assert!(written.status.success(), "{}", text(&written.stderr));
    let completions = text(&microbus_deploy(&["completions", "bash"]).stdout);
    for verb in verbs() {
        let page = folder.path().join(format!("microbus-deploy-{verb}.1"));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{verb} has no page"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
        assert!(completions.contains(&verb), "{verb} is not completed");
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let refused = microbus_deploy(&["man", "/no/such/directory"]);
    assert_eq!(refused.status.code(), Some(70));
    let said = text(&refused.stderr);
    assert!(said.contains("/no/such/directory"), "{said}");
}

#[test]
fn an_unknown_verb_is_a_usage_error() {
    assert_eq!(microbus_deploy(&["conquer"]).status.code(), Some(2));
}
