//! Any input is answered: the corpus of the fuzz target, its mutations, and generated text.

use std::fs;
use std::path::Path;

use microbus_required_claims::fuzz_entry::fuzz_required_claims;
use proptest::prelude::*;

#[test]
fn every_file_of_the_corpus_keeps_the_promise_of_the_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus/required_claims");
    let mut replayed = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        fuzz_required_claims(&bytes);
        for end in 0..bytes.len() {
            fuzz_required_claims(&bytes[..end]);
            let mut flipped = bytes.clone();
            flipped[end] ^= 0x20;
            fuzz_required_claims(&flipped);
        }
        replayed += 1;
    }
    assert!(replayed >= 3, "the corpus has {replayed} files");
}

fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&PARTS)
}

proptest! {
    #[test]
    fn no_sequence_of_parts_panics(parts in prop::collection::vec(part(), 0..40)) {
        let claims = r#"{"a":"x","roles":["admin"],"x":{"y":[1]}}"#;
        fuzz_required_claims(format!("{}\n{claims}", parts.concat()).as_bytes());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_required_claims(&bytes);
    }

    #[test]
    fn no_pattern_panics(pattern in r"[\\\[\](){}?*+|^$.\-&~:<>=!a-zQE0-9é,]{0,40}") {
        fuzz_required_claims(format!("s=~\"{pattern}\"\n{{\"s\":\"a-b\"}}").as_bytes());
    }
}

/// Parts of expressions, so that many of their sequences are accepted.
const PARTS: [&str; 25] = [
    "a",
    "roles.admin",
    "5",
    "true",
    "tRUE",
    "'x'",
    "\"it's\"",
    "`(`",
    "'a<b'",
    "==",
    "!=",
    "<=",
    ">=",
    "=~",
    "!~",
    "<",
    ">",
    "!",
    "(",
    ")",
    "||",
    "&&",
    " ",
    "'^\\w+$'",
    "-1_0",
];
