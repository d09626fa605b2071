//! Claims that were changed after signing, and parts of several good tokens put together.

use crate::forger::{Case, Forger, encode};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    let [header, payload, signature] = forger.parts();
    let mut add = |what: String, token: String, reason| {
        cases.push(forger.case("claims", what, token, reason));
    };
    for (what, members) in [
        ("another subject", r#""sub":"voldemort","roles":["reader"]"#),
        ("another role", r#""sub":"harry","roles":["admin"]"#),
        (
            "one role more",
            r#""sub":"harry","roles":["reader","admin"]"#,
        ),
        ("no roles", r#""sub":"harry""#),
        (
            "another tenant",
            r#""sub":"harry","roles":["reader"],"tid":1"#,
        ),
        (
            "another audience",
            r#""sub":"harry","roles":["reader"],"aud":"x""#,
        ),
        ("a blank more", r#""sub":"harry", "roles":["reader"]"#),
        ("an escape more", r#""sub":"\u0068arry","roles":["reader"]"#),
        ("another order", r#""roles":["reader"],"sub":"harry""#),
    ] {
        let changed = encode(forger.payload_with(members));
        add(
            what.to_owned(),
            format!("{header}.{changed}.{signature}"),
            "signature",
        );
    }
    for seconds in [21, 60, 3_600, 86_400, 31_536_000] {
        let exp = crate::NOW + 20;
        let changed = forger
            .payload()
            .replace(&exp.to_string(), &(exp - 20 + seconds).to_string());
        let what = format!("{seconds} s instead of 20");
        add(
            what,
            format!("{header}.{}.{signature}", encode(changed)),
            "signature",
        );
    }
    // Header members that are allowed count for the signature too.
    for (what, members) in [
        ("no typ", r#""alg":"EdDSA""#),
        ("typ first", r#""typ":"JWT","alg":"EdDSA""#),
        ("a blank in the header", r#" "alg":"EdDSA","typ":"JWT""#),
        (
            "a member more in the header",
            r#""alg":"EdDSA","typ":"JWT","x":1"#,
        ),
    ] {
        let changed = encode(forger.header_with(members));
        add(
            what.to_owned(),
            format!("{changed}.{payload}.{signature}"),
            "signature",
        );
    }
    let other = forger.other();
    let [other_header, other_payload, other_signature] = other.parts();
    for (what, token, reason) in [
        (
            "signature of the other issuer",
            format!("{header}.{payload}.{other_signature}"),
            "signature",
        ),
        (
            "header of the other issuer",
            format!("{other_header}.{payload}.{signature}"),
            "unknown_kid",
        ),
        (
            "claims of the other issuer",
            format!("{header}.{other_payload}.{signature}"),
            "unknown_kid",
        ),
        (
            "signed by the other issuer",
            other.signed(forger.header(), forger.payload()),
            "signature",
        ),
        (
            "signed by the other issuer with its kid",
            other.signed(other.header(), forger.payload()),
            "unknown_kid",
        ),
        (
            "payload as header",
            format!("{payload}.{payload}.{signature}"),
            "alg",
        ),
        (
            "header as payload",
            format!("{header}.{header}.{signature}"),
            "issuer",
        ),
        (
            "signature as payload",
            format!("{header}.{signature}.{signature}"),
            "payload",
        ),
        (
            "signature as header",
            format!("{signature}.{payload}.{signature}"),
            "header",
        ),
        (
            "payload and header exchanged",
            format!("{payload}.{header}.{signature}"),
            "alg",
        ),
        (
            "payload as signature",
            format!("{header}.{payload}.{payload}"),
            "signature_length",
        ),
    ] {
        add(what.to_owned(), token, reason);
    }
    cases
}
