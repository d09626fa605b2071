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

/// Returns the verbs that the help lists, and after each its steps: `audit-log`, then `audit-log verify`.
fn verbs() -> Vec<Vec<String>> {
    let mut verbs = Vec::new();
    for verb in listed(&[]) {
        let verb = vec![verb];
        let steps = listed(&verb);
        let steps = steps
            .into_iter()
            .map(|step| [verb.clone(), vec![step]].concat());
        let steps: Vec<_> = steps.collect();
        verbs.push(verb);
        verbs.extend(steps);
    }
    verbs
}

/// Returns the commands that the help of a verb lists, if any.
fn listed(verb: &[String]) -> Vec<String> {
    let help = help(verb);
    let Some((_, commands)) = help.split_once("Commands:\n") else {
        return Vec::new();
    };
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let listed = commands.lines().filter(|line| !line.starts_with("   "));
    listed
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .map(str::to_owned)
        .collect()
}

fn help(verb: &[String]) -> String {
    let mut arguments: Vec<_> = verb.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = microbus_deploy(&arguments);
    assert!(help.status.success(), "{verb:?}");
    text(&help.stdout)
}

#[test]
fn each_verb_explains_itself() {
    let verbs = verbs();
    assert!(verbs.contains(&vec!["completions".to_owned()]), "{verbs:?}");
    for verb in verbs {
        let help = help(&verb);
        assert!(help.contains("Usage: microbus-deploy"), "{verb:?}: {help}");
        let steps = help.contains("Commands:\n");
        assert!(
            help.contains("Example") || steps,
            "{verb:?} shows no example: {help}"
        );
        // Those of a step stand in the help of its verb, and what only writes text has none of its own.
        let is_plain = ["man", "completions", "audit-log"].contains(&verb[0].as_str());
        assert!(
            help.contains("Exit codes: ")
                || help.contains("Ends with ")
                || is_plain
                || verb.len() > 1,
            "{verb:?} does not say how it ends: {help}"
        );
    }
}

/// The help is a promise to scripts and to whoever learned it: a change shows in the diff of its golden.
#[test]
fn the_help_of_each_verb_is_its_golden() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    for verb in verbs() {
        let (verb, file) = (verb.clone(), verb.join("-"));
        let expected = std::fs::read_to_string(goldens.join(format!("{file}.txt")));
        let help = help(&verb);
        assert!(
            help == expected.unwrap_or_default(),
            "if this is meant: microbus-deploy {} --help > deploy/tests/help/{file}.txt\n{help}",
            verb.join(" ")
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
        let name = verb.join("-");
        let page = folder.path().join(format!("microbus-deploy-{name}.1"));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{name} has no page"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
        let completed = verb.iter().all(|word| completions.contains(word));
        assert!(completed, "{name} is not completed");
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let refused = microbus_deploy(&["man", "/no/such/directory"]);
    assert_eq!(refused.status.code(), Some(78));
    let said = text(&refused.stderr);
    assert!(said.contains("/no/such/directory"), "{said}");
}

#[test]
fn an_unknown_verb_is_a_usage_error() {
    assert_eq!(microbus_deploy(&["conquer"]).status.code(), Some(2));
}
