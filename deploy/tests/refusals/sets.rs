//! JWK Sets of which no verifier takes a key; the token before them is good.

use crate::Case;
use crate::tokens::{good, jwk_set};

pub(crate) fn cases() -> Vec<Case> {
    let good_set = jwk_set(&[1]);
    let changed = |what, from: &str, to: &str| {
        let bad = good_set.replacen(from, to, 1);
        assert_ne!(bad, good_set, "{what} changes nothing");
        set(what, bad)
    };
    let x = |what, x: &str| changed(what, X, x);
    let many: Vec<u8> = (1..=65).collect();
    vec![
        set("a page instead of a JWK Set", "<html>404</html>"),
        set("a JWK Set that is a list", "[]"),
        set(
            "a JWK Set of more than 64 KiB",
            format!("{}{good_set}", " ".repeat(65_536)),
        ),
        set("a JWK Set of 65 keys", jwk_set(&many)),
        changed(
            "a JWK Set with a private key",
            r#""kty""#,
            r#""d":"AQEB","kty""#,
        ),
        x("a JWK Set whose x is short", "AQEB"),
        changed("a JWK Set whose key has no kid", r#""kid""#, r#""id""#),
        changed(
            "a JWK Set whose key is for encryption",
            r#""sig""#,
            r#""enc""#,
        ),
        x(
            "a JWK Set with a key of small order",
            "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ),
        x(
            "a JWK Set with a key off the curve",
            "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ),
        set(
            "a JWK Set with one kid twice",
            jwk_set(&[1, 2]).replace("ajgD1fBZkCo", "NHUPmL1Z_Pw"),
        ),
        set("an empty JWK Set", "{}"),
        changed("a JWK Set of an RSA issuer", r#""OKP""#, r#""RSA""#),
    ]
}

fn set(what: &'static str, set: impl Into<String>) -> Case {
    Case::new(what, good()).with("--jwks", set)
}

/// The public key of the seed of 32 times 1 (spec: microbus-wire 11.3).
const X: &str = "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w";
