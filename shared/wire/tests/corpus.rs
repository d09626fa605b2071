//! What fuzzers found worth keeping is replayed by the stable compiler.

use std::fs;
use std::path::Path;

use microbus_wire::fuzz_entry::{
    fuzz_address, fuzz_duration, fuzz_fragment, fuzz_hostname, fuzz_query, fuzz_request,
    fuzz_response, fuzz_subject, fuzz_traced_error,
};

type Entry = fn(&[u8]);

const TARGETS: [(&str, Entry); 9] = [
    ("request", fuzz_request),
    ("response", fuzz_response),
    ("subject", fuzz_subject),
    ("address", fuzz_address),
    ("duration", fuzz_duration),
    ("fragment", fuzz_fragment),
    ("traced_error", fuzz_traced_error),
    ("query", fuzz_query),
    ("hostname", fuzz_hostname),
];

#[test]
fn every_file_of_every_corpus_keeps_the_promise_of_its_target() {
    for (target, entry) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata/corpus")
            .join(target);
        let mut replayed = 0;
        for file in fs::read_dir(&folder).unwrap() {
            let bytes = fs::read(file.unwrap().path()).unwrap();
            entry(&bytes);
            // Truncations and flipped bits of a seed lead into the error paths.
            for end in 0..bytes.len().min(600) {
                entry(&bytes[..end]);
                let mut flipped = bytes.clone();
                flipped[end] ^= 0x20;
                entry(&flipped);
            }
            replayed += 1;
        }
        assert!(replayed >= 3, "{target} has {replayed} files");
    }
}
