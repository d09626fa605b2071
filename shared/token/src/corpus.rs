//! Replays the corpora of the fuzz targets, which need another compiler than this test.

use std::fs;
use std::path::Path;

use crate::fuzz_entry::{
    fuzz_arguments, fuzz_claims, fuzz_json, fuzz_jwk_set, fuzz_key_text, fuzz_verify,
};

/// A name and what to call with an input.
type Target = (&'static str, fn(&[u8]));

#[test]
fn every_input_of_the_corpora_keeps_the_relations() {
    let targets: [Target; 6] = [
        ("arguments", fuzz_arguments),
        ("claims", fuzz_claims),
        ("json", fuzz_json),
        ("jwk_set", fuzz_jwk_set),
        ("key_text", fuzz_key_text),
        ("verify", fuzz_verify),
    ];
    let mut inputs = Vec::new();
    for (name, _) in targets {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata/corpus")
            .join(name);
        let files = fs::read_dir(&folder).unwrap();
        let before = inputs.len();
        inputs.extend(files.map(|file| fs::read(file.unwrap().path()).unwrap()));
        assert!(
            inputs.len() >= before + 3,
            "{} has too few seeds",
            folder.display()
        );
    }
    // Every input to every target: what one takes for granted, another must stand.
    for (_, target) in targets {
        inputs.iter().for_each(|input| target(input));
    }
}
