use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;
use crate::ring::{KeyRing, RotationPolicy};

fn der(seed: u8) -> Vec<u8> {
    let mut der = hex("302e020100300506032b657004220420");
    der.extend([seed; 32]);
    der
}

/// Version 2, with a public key.
fn der_with_public(seed: u8, public: &[u8; 32]) -> Vec<u8> {
    let mut der = hex("3051020101300506032b657004220420");
    der.extend([seed; 32]);
    der.extend(hex("812100"));
    der.extend(public);
    der
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&Secret::new(vec![seed; 32])).unwrap()
}

#[test]
fn key_ids_are_those_of_the_bearer_service() {
    assert_eq!(key(1).id().as_str(), "NHUPmL1Z_Pw");
    assert_eq!(key(2).id().as_str(), "ajgD1fBZkCo");
    let x = URL_SAFE_NO_PAD.encode(key(1).verifying_key().as_bytes());
    assert_eq!(x, "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w");
}

#[test]
fn the_example_of_rfc_8037_is_signed_as_printed_there() {
    let seed = URL_SAFE_NO_PAD
        .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        .unwrap();
    let key = SigningKey::from_seed(&Secret::new(seed)).unwrap();
    let x = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
    assert_eq!(x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = key.sign(input).unwrap();
    assert_eq!(
        URL_SAFE_NO_PAD.encode(signature),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    assert!(key.verifying_key().verify(input, &signature));
}

#[test]
fn pkcs8_of_both_versions_is_read() {
    assert_eq!(
        SigningKey::from_pkcs8_der(&der(1)).unwrap().id(),
        key(1).id()
    );
    let public = *key(1).verifying_key().as_bytes();
    let v2 = SigningKey::from_pkcs8_der(&der_with_public(1, &public)).unwrap();
    assert_eq!(v2.id(), key(1).id());
    let mut trailing = der(1);
    trailing.extend(b"trailing");
    assert!(SigningKey::from_pkcs8_der(&trailing).is_ok());
    let mut odd_version = der(1);
    odd_version[4] = 7;
    assert!(SigningKey::from_pkcs8_der(&odd_version).is_ok());
}

#[test]
fn an_embedded_public_key_must_match() {
    let other = *key(2).verifying_key().as_bytes();
    let error = SigningKey::from_pkcs8_der(&der_with_public(1, &other)).unwrap_err();
    assert_eq!(error, KeyError::PublicKeyMismatch);
}

#[test]
fn other_keys_are_named() {
    for (der, found) in [
        ("302e020100300506032b656e04220420", "an X25519 private key"),
        ("3047020100300506032b6571043b0439", "an Ed448 private key"),
        ("302a300506032b6570032100", "an Ed25519 public key"),
        (
            "30050201000201ff",
            "an RSA private key in PKCS#1 (or a DSA key)",
        ),
        ("3007020101040201ff", "an EC private key in SEC1"),
        (
            "300f020100300a06082a8648ce3d020100",
            "a private key of an unknown algorithm",
        ),
        ("300e020100300906072a8648ce3d0201", "an EC private key"),
        ("3010020100300b06092a864886f70d010101", "an RSA private key"),
        (
            "3010300b06092a864886f70d01050d040100",
            "an encrypted private key (decrypt it first)",
        ),
    ] {
        // Lengths of the outer sequence are put right for the cut texts.
        let mut der = hex(der);
        der.resize(der.len().max(usize::from(der[1]) + 2), 1);
        der[1] = u8::try_from(der.len() - 2).unwrap();
        let error = SigningKey::from_pkcs8_der(&der).unwrap_err();
        assert_eq!(error, KeyError::Kind(found));
    }
    let mut parameters = hex("3030020100300706032b6570050004220420");
    parameters.extend([1; 32]);
    assert!(matches!(
        SigningKey::from_pkcs8_der(&parameters),
        Err(KeyError::Kind(_))
    ));
}

#[test]
fn every_cut_of_a_key_is_refused() {
    let whole = der_with_public(1, key(1).verifying_key().as_bytes());
    for length in 0..whole.len() {
        assert!(
            SigningKey::from_pkcs8_der(&whole[..length]).is_err(),
            "{length}"
        );
    }
    assert_eq!(
        SigningKey::from_seed(&Secret::new(vec![1; 31])).unwrap_err(),
        KeyError::SeedLength(31)
    );
}

#[test]
fn weak_and_non_canonical_public_keys_are_refused() {
    for small in [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ] {
        let bytes: [u8; 32] = hex(small).try_into().unwrap();
        assert_eq!(
            VerifyingKey::from_bytes(&bytes),
            Err(KeyError::SmallOrder),
            "{small}"
        );
    }
    // y + p for small y: points of the curve in a second spelling, and no points.
    for y in 0..19_u8 {
        let mut bytes = [0xff; 32];
        bytes[0] = 0xed + y;
        bytes[31] = 0x7f;
        assert!(VerifyingKey::from_bytes(&bytes).is_err(), "{y}");
    }
}

#[test]
fn debug_output_shows_no_private_half() {
    let key = SigningKey::generate(&mut StdRng::seed_from_u64(1)).unwrap();
    assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.id()));
    assert_eq!(key.id().as_str().len(), 16);
    let header = URL_SAFE_NO_PAD.decode(key.encoded_header()).unwrap();
    let wanted = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"JWT"}}"#, key.id());
    assert_eq!(header, wanted.as_bytes());
}

#[test]
fn the_first_signature_of_a_key_and_some_later_ones_are_verified() {
    let mut faulty = key(1);
    faulty.public = key(2).public;
    let wrong = faulty.sign(b"a").unwrap_err();
    assert!(wrong.to_string().contains(key(1).id().as_str()), "{wrong}");
    assert!(faulty.sign(b"b").is_err(), "until one is right");
    faulty.public = key(1).public;
    assert!(faulty.sign(b"c").is_ok());
    faulty.public = key(2).public;
    let unseen = (0..).take_while(|_| faulty.sign(b"d").is_ok()).count();
    assert_eq!(unseen as u64, PROOF_INTERVAL - 1);
    faulty.public = key(1).public;
    assert!(faulty.sign(b"e").is_ok());
    faulty.public = key(2).public;
    assert!(faulty.sign(b"f").is_ok(), "unseen");
    faulty.verify_next();
    assert!(faulty.sign(b"g").is_err());
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can be had from the clock only"
)]
fn the_first_signature_after_an_activation_is_verified_whatever_was_signed_before() {
    let now = Instant::now();
    let mut faulty = key(1);
    assert!(faulty.sign(b"a").is_ok());
    faulty.public = key(2).public;
    assert!(faulty.sign(b"b").is_ok(), "unseen");
    let mut ring = KeyRing::new(RotationPolicy::access(Duration::from_secs(7200)));
    ring.prepare(faulty, now).unwrap();
    assert_eq!(ring.activate_now(now).len(), 1);
    assert!(ring.active().unwrap().sign(b"c").is_err());
}
