//! Any input is answered: the corpora of the fuzz targets, their mutations, and generated claims.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use microbus_idp_bridge::Settings;
use microbus_idp_bridge::fuzz_entry::{fuzz_foreign_keys, fuzz_foreign_token, fuzz_mapping};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// Feeds a target with each file of its corpus, cut at each byte and with each byte changed.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus");
    let mut replayed = 0;
    for file in fs::read_dir(folder.join(name)).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        target(&bytes);
        for at in 0..bytes.len() {
            target(&bytes[..at]);
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x20;
            target(&flipped);
        }
        replayed += 1;
    }
    assert!(replayed >= 4, "the corpus has {replayed} files");
}

#[test]
fn every_token_of_the_corpus_keeps_the_promise_of_the_target() {
    replay("foreign_token", fuzz_foreign_token);
}

#[test]
fn every_set_of_the_corpus_keeps_the_promise_of_the_target() {
    replay("foreign_keys", fuzz_foreign_keys);
}

#[test]
fn every_mapping_of_the_corpus_keeps_the_promise_of_the_target() {
    replay("mapping", fuzz_mapping);
}

#[test]
fn the_rules_for_generated_claims_are_accepted() {
    let settings = format!(
        "providers:\n  - issuer: https://login.example\n    algorithms: [ES256]\n    id_tokens: {{audiences: [a]}}\n    claims:\n      {}",
        RULES.replace('\n', "\n      ")
    );
    Settings::parse(&settings).unwrap();
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&NAMES).prop_map(String::from),
        ".{0,6}"
    ]
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        name().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|object| serde_json::Value::Object(object.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_foreign_name_is_unsafe_whatever_a_provider_says(claims in prop::collection::btree_map(name(), value(), 0..6)) {
        let claims = serde_json::to_string(&claims).unwrap();
        prop_assert!(!claims.contains('\n'));
        fuzz_mapping(format!("{RULES}\n{claims}").as_bytes());
    }
}

/// Names that rules ask for, or that must not pass.
const NAMES: [&str; 11] = [
    "a", "b", "x", "roles", "5", "true", "iss", "a.b", "'q'", "nan", "",
];

/// One rule of each kind.
const RULES: &str = "a:
b: {drop: [x]}
x: {members: {a: , b: {from: '5'}}}
roles: {roles: safe}
y: {from: [a, b]}
z: {from: x, roles: safe, prefix: p_}
v: {from: 'a.b'}
w: {from: iss, prefix: w}";
