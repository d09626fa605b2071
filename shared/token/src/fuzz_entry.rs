//! Entry points of the fuzz targets: each asserts relations that hold for every input.

use std::time::{Duration, UNIX_EPOCH};

use crate::json::{Reading, normalise};
use crate::{Claims, JwkSet, Unverified, decode_claims, looks_like_jwt, read_key_text, verify};

/// The normal form is JSON to others too, is its own normal form, and passes the strict reading.
pub fn fuzz_json(input: &[u8]) {
    let Ok(normal) = normalise(input, Reading::Lenient) else {
        return;
    };
    assert_eq!(normalise(&normal, Reading::Strict).as_ref(), Ok(&normal));
    // Integers of more than 64 bits overflow nothing here, since RawValue keeps their text.
    assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&normal).is_ok());
    if let Ok(strict) = normalise(input, Reading::Strict) {
        assert_eq!(strict, normal);
    }
}

/// Claims write what was normalised, and every name is found again.
pub fn fuzz_claims(input: &[u8]) {
    let Ok(claims) = Claims::from_json(input) else {
        return;
    };
    let json = claims.to_json();
    assert_eq!(normalise(input, Reading::Lenient).as_ref(), Ok(&json));
    let names: Vec<String> = claims.names().map(std::borrow::Cow::into_owned).collect();
    assert!(names.is_sorted());
    let mut changed = claims.clone();
    for name in &names {
        let value = claims.get(name).map(str::as_bytes);
        assert!(value.is_some_and(|value| changed.insert_json(name, value).is_ok()));
    }
    assert_eq!(changed.to_json(), json);
    assert!(names.iter().all(|name| changed.remove(name)));
    assert_eq!(changed.to_json(), b"{}");
    let literals = claims.literal_names();
    assert!(literals.iter().all(|name| !name.is_empty()));
}

/// A set that was read is read again from what it writes.
pub fn fuzz_jwk_set(input: &[u8]) {
    let Ok(set) = JwkSet::from_json(input) else {
        return;
    };
    let again = JwkSet::from_json(set.to_json().as_bytes());
    assert!(again.is_ok_and(|again| again.iter().eq(set.iter())));
    assert!(set.iter().all(|jwk| set.get(jwk.id()) == Some(jwk.key())));
}

/// A key that was read signs what its public half verifies; no error shows the text.
pub fn fuzz_key_text(input: &[u8]) {
    match read_key_text(input) {
        Ok(None) => assert!(input.is_empty()),
        // The first signature is verified.
        Ok(Some(key)) => assert!(key.sign(b"m").is_ok()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What is taken is what the platform takes for a token, and no key, no trust.
pub fn fuzz_verify(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let now = UNIX_EPOCH
        .checked_add(Duration::from_secs(1_795_466_010))
        .unwrap_or(UNIX_EPOCH);
    assert!(verify(text, &JwkSet::default(), now).is_err());
    if let Ok(unverified) = Unverified::parse(text, 4096) {
        assert!(text.len() <= 4096);
        assert!(looks_like_jwt(text) || text.split('.').any(|part| part.len() < 35));
        assert!(!unverified.key_id().as_str().is_empty());
    }
}

/// Claims out of arguments are JSON. Pairs are lines, name and value are divided by `=`.
pub fn fuzz_arguments(input: &[u8]) {
    let none = std::iter::empty::<(&str, &str)>;
    if let Ok(claims) = decode_claims(Some(input), none(), none()) {
        assert_eq!(
            Claims::from_json_strict(&claims.to_json())
                .map(|c| c.len())
                .ok(),
            Some(claims.len())
        );
    }
    let text = String::from_utf8_lossy(input);
    let pairs: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    if let Ok(claims) = decode_claims(None, none(), pairs) {
        let json = claims.to_json();
        assert_eq!(normalise(&json, Reading::Strict).as_ref(), Ok(&json));
    }
}
