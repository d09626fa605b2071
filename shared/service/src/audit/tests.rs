use super::*;
use crate::fixture;
use crate::settings::{self, Texts};
use microbus_audit::verify;

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let texts: Texts = pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned().into()))
        .collect();
    let (own, invalid) = settings::judge_files(&AUDIT_PROPERTIES, &texts);
    assert_eq!(invalid, []);
    settings::resolve(&AUDIT_PROPERTIES, &own, &Texts::new(), None)
        .unwrap()
        .settings
}

fn entry(caller: &str) -> Entry<'_> {
    Entry {
        caller,
        outcome: "minted",
        ..Entry::default()
    }
}

#[test]
fn without_a_path_nothing_is_recorded() {
    let audit = Audit::open(&settings(&[]), &fixture::metrics()).unwrap();
    assert!(!audit.wants(true) && !audit.wants(false) && !audit.has(Field::Sub));
    assert_eq!(audit.record(&entry("a")), Ok(()));
}

#[test]
fn lines_are_appended_and_the_chain_goes_on_after_a_restart_and_a_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let settings = settings(&[(LOG, path.to_str().unwrap()), (CHAIN, "true")]);
    for caller in ["a", "b"] {
        let audit = Audit::open(&settings, &fixture::metrics()).unwrap();
        audit.record(&entry(caller)).unwrap();
        audit.flush();
    }
    let audit = Audit::open(&settings, &fixture::metrics()).unwrap();
    let moved = folder.path().join("audit.jsonl.1");
    std::fs::rename(&path, &moved).unwrap();
    audit.record(&entry("c")).unwrap();
    audit.flush();
    let before = verify(&std::fs::read(moved).unwrap(), None).unwrap();
    let after = verify(&std::fs::read(path).unwrap(), before.head).unwrap();
    assert_eq!((before.lines, after.lines), (2, 1));
}

#[test]
fn a_sample_takes_one_in_so_many_tokens_and_every_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let settings = settings(&[
        (LOG, path.to_str().unwrap()),
        (SAMPLE, "3"),
        (FIELDS, "sub, kid"),
    ]);
    let audit = Audit::open(&settings, &fixture::metrics()).unwrap();
    let wanted = (0..9).filter(|_| audit.wants(true)).count();
    assert_eq!((wanted, audit.wants(false)), (3, true));
    assert!(audit.has(Field::Sub) && audit.has(Field::Kid) && !audit.has(Field::Jti));
}

/// A device that takes no byte, as a full disk.
const FULL: &str = "/dev/full";

/// Hands over entries until one is refused or dropped.
fn fill(audit: &Audit, metrics: &Metrics) -> Result<(), NotRecorded> {
    loop {
        let recorded = audit.record(&entry("a"));
        if recorded.is_err() || metrics.audit_dropped.get() > 0 {
            return recorded;
        }
    }
}

#[test]
fn a_full_disk_drops_and_counts_or_refuses_as_the_operator_wants() {
    let metrics = fixture::metrics();
    let audit = Audit::open(&settings(&[(LOG, FULL)]), &metrics).unwrap();
    assert_eq!(fill(&audit, &metrics), Ok(()));

    let metrics = fixture::metrics();
    let refusing = settings(&[(LOG, FULL), (WHEN_FULL, "refuse")]);
    let audit = Audit::open(&refusing, &metrics).unwrap();
    assert_eq!(fill(&audit, &metrics), Err(NotRecorded));
    assert!(metrics.audit_dropped.get() > 0);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let settings = settings(&[(LOG, "/nowhere/audit.jsonl")]);
    assert!(Audit::open(&settings, &fixture::metrics()).is_err());
}
