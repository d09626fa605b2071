//! Entry points of the fuzz targets: each asserts relations that hold for every input.

use crate::algorithm::Algorithm;
use crate::key::ForeignKeySet;
use crate::name::{is_reserved, is_safe_name};
use crate::settings::Settings;
use crate::token::Unverified;
use microbus_token::Claims;
use serde_json::{Map, Value};

/// Input is a token. What is accepted has three parts of base64url, whose claims are those that were signed.
pub fn fuzz_foreign_token(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(token) = Unverified::parse(&text) else {
        return;
    };
    assert!(!token.key().kid.is_empty());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    assert!(text.chars().all(plain), "{text}");
    assert_eq!(text.matches('.').count(), 2);
}

/// Input is a JWK Set. No key is there twice, and none has an algorithm that is not pinned.
pub fn fuzz_foreign_keys(input: &[u8]) {
    for pinned in [
        &[Algorithm::EdDSA, Algorithm::ES256, Algorithm::PS256][..],
        &[Algorithm::RS256],
    ] {
        let Ok(set) = ForeignKeySet::read(input, pinned) else {
            continue;
        };
        for (at, (id, key)) in set.keys.iter().enumerate() {
            assert!(pinned.contains(&id.algorithm));
            assert!(set.keys.iter().skip(at + 1).all(|(other, _)| other != id));
            assert!(!key.verify(input, input));
        }
    }
}

/// Input is the `claims` of a provider in YAML and, after the last line break, a provider's claims as JSON. Whatever both are, what
/// comes out has no unsafe and no reserved name at any level, and no text in a list that is no safe name.
pub fn fuzz_mapping(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (rules, foreign) = text.rsplit_once('\n').unwrap_or((&text, "{}"));
    let indented = rules.replace('\n', "\n      ");
    let settings = format!(
        "providers:\n  - issuer: https://login.example\n    algorithms: [ES256]\n    id_tokens: {{audiences: [a]}}\n    \
         claims:\n      {indented}\n"
    );
    let foreign: Map<String, Value> = serde_json::from_str(foreign).unwrap_or_default();
    let Ok(settings) = Settings::parse(&settings) else {
        return;
    };
    for provider in &settings.providers {
        let Ok(mapped) = provider.mapping.apply(&foreign) else {
            continue;
        };
        let mapped = Value::from(mapped);
        assert!(is_safe(&mapped), "{mapped}");
        let claims = Claims::from_json_strict(mapped.to_string().as_bytes());
        // Nesting is bounded by the readers of both inputs, and may exceed the bound of claims when put together.
        assert!(
            claims.is_ok_and(|claims| claims.literal_names().is_empty()) || depth(&mapped) > 100
        );
    }
}

fn is_safe(value: &Value) -> bool {
    match value {
        Value::Object(object) => object
            .iter()
            .all(|(name, value)| is_safe_name(name) && !is_reserved(name) && is_safe(value)),
        Value::Array(list) => list
            .iter()
            .all(|each| each.as_str().is_none_or(is_safe_name) && is_safe(each)),
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Object(object) => object.values().map(depth).max(),
        Value::Array(list) => list.iter().map(depth).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    deepest.unwrap_or(0) + 1
}
