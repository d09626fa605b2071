//! Every refusal that `explain` tells apart, planted: what goes in, and the code that comes out.
//!
//! `golden.tsv` is the table: a code and what was planted, a line each. A case that is missing in it, a line without a case
//! and a code without a line all fail here, so that none of the three drifts.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod logins;
mod sets;
mod subjects;
mod tokens;

use microbus_deploy::Reason;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// The time at which everything is judged, seconds since 1970.
const NOW: u64 = 1_800_000_000;

/// Something that is refused.
struct Case {
    /// What is wrong with it, as in the golden table.
    what: &'static str,
    /// Standard input.
    input: String,
    /// Files that are named by these options.
    files: Vec<(&'static str, String)>,
    /// Further options.
    options: Vec<&'static str>,
}

impl Case {
    fn new(what: &'static str, input: impl Into<String>) -> Self {
        Self {
            what,
            input: input.into(),
            files: Vec::new(),
            options: Vec::new(),
        }
    }

    fn with(mut self, option: &'static str, content: impl Into<String>) -> Self {
        self.files.push((option, content.into()));
        self
    }

    fn run(&self, more: &[&str]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_microbus-deploy"));
        command
            .args(["explain", "--at", &NOW.to_string()])
            .args(more);
        for (option, content) in &self.files {
            let path = folder.path().join(option.trim_start_matches('-'));
            std::fs::write(&path, content).unwrap();
            command.arg(option).arg(path);
        }
        let mut child = command
            .args(&self.options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(self.input.as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// Returns what `explain --json` says, and how it ended.
    fn json(&self) -> (Value, Option<i32>) {
        let output = self.run(&["--json"]);
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        let json = serde_json::from_str(&said)
            .unwrap_or_else(|_| panic!("{}: {said}{complained}", self.what));
        (json, output.status.code())
    }

    /// Returns texts that must not be shown: parts of tokens and seeds.
    fn secrets(&self) -> Vec<String> {
        let signatures = self
            .input
            .split_whitespace()
            .filter(|word| word.starts_with("ey"))
            .flat_map(|token| token.split('.').filter(|part| part.len() > 30));
        let files = self.files.iter().flat_map(|(_, content)| content.lines());
        let seeds = files.filter(|line| line.len() > 40 && line.starts_with('S'));
        signatures.chain(seeds).map(str::to_owned).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn cases() -> Vec<Case> {
    let families = [tokens::cases, sets::cases, subjects::cases, logins::cases];
    families.iter().flat_map(|family| family()).collect()
}

/// Returns the golden table: what is planted, and its code.
fn golden() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("golden.tsv").lines();
    let rows: Vec<_> = lines.map(|line| line.split_once('\t').unwrap()).collect();
    let table: BTreeMap<_, _> = rows.iter().map(|(code, what)| (*what, *code)).collect();
    assert_eq!(table.len(), rows.len(), "a line is there twice");
    table
}

/// Plants everything once: each run is a process.
#[test]
fn every_planted_refusal_gets_its_code_on_one_screen_and_shows_no_secret() {
    let (cases, golden) = (cases(), golden());
    let planted: BTreeSet<_> = cases.iter().map(|case| case.what).collect();
    assert_eq!(planted.len(), cases.len(), "a case is there twice");
    assert_eq!(planted, golden.keys().copied().collect());
    let mut wrong = Vec::new();
    for case in &cases {
        let output = case.run(&[]);
        let (shown, complained) = (text(&output.stdout), text(&output.stderr));
        let code = golden[case.what];
        let exit = if code == "login_refused" { 5 } else { 1 };
        let says_so = shown.starts_with(&format!("refused: {code}\n"));
        let lines = shown
            .lines()
            .map(|line| line.chars().count().div_ceil(80).max(1));
        let fits = lines.sum::<usize>() <= 40;
        let is_discreet = !case
            .secrets()
            .iter()
            .any(|secret| shown.contains(secret) || complained.contains(secret));
        if !(says_so && fits && is_discreet && output.status.code() == Some(exit)) {
            wrong.push(format!("{}: not {code}\n{shown}{complained}", case.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_is_planted() {
    let planted: BTreeSet<_> = golden().into_values().map(str::to_owned).collect();
    let codes: BTreeSet<_> = Reason::all().iter().map(|reason| reason.code()).collect();
    assert_eq!(planted, codes);
    assert!(codes.len() >= 40, "{}", codes.len());
}

#[test]
fn the_documented_table_is_that_of_the_code() {
    let mut table = String::from(
        "| Code | Who refuses | Metric label | Meaning | What to do |\n|---|---|---|---|---|\n",
    );
    for reason in Reason::all() {
        let label = reason
            .verifier_label()
            .map_or_else(String::new, |label| format!("`{label}`"));
        table.push_str(&format!(
            "| `{}` | {} | {label} | {} | {} |\n",
            reason.code(),
            reason.refuser().as_str(),
            reason.meaning(),
            reason.remedy(),
        ));
    }
    let documented = include_str!("../../REFUSALS.md");
    let rows: Vec<_> = documented
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    let is_equal = rows.join("\n") + "\n" == table;
    assert!(is_equal, "REFUSALS.md should have this table:\n{table}");
}

#[test]
fn a_verifiers_refusal_has_a_label_and_a_brokers_has_none() {
    for reason in Reason::all() {
        let is_verifiers = reason.refuser() == microbus_deploy::refusal::Refuser::Verifier;
        assert_eq!(
            reason.verifier_label().is_some(),
            is_verifiers,
            "{reason:?}"
        );
    }
}

#[test]
fn a_code_is_explained_without_input() {
    let case = Case::new("", "");
    let shown = text(&case.run(&["--reason", "kid_unknown"]).stdout);
    assert!(
        shown.starts_with("kid_unknown: No replica of the issuer"),
        "{shown}"
    );
}

#[test]
fn prose_is_neither_explained_nor_called_fine() {
    let output = Case::new("", "it does not work").run(&[]);
    assert_eq!(output.status.code(), Some(5));
    assert!(text(&output.stderr).contains("neither a token nor a line"));
}
