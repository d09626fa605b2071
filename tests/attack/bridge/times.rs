//! Tokens out of their time by more than the tolerance of ten seconds, and times that are no numbers.

use super::forger::{Case, Forger};
use crate::NOW;

pub(crate) fn cases(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, what: &str, value: Option<&str>, reason| {
        let payload = forger.payload_where(name, value);
        let token = forger.signed(forger.header(), payload);
        cases.push(forger.case("times", format!("{name} {what}"), token, reason));
    };
    let at = |seconds: u64| seconds.to_string();
    for (what, exp) in [
        ("ten seconds ago", at(NOW - 10)),
        ("ten seconds ago and a fraction", format!("{}.9", NOW - 10)),
        ("an hour ago", at(NOW - 3_600)),
        ("zero", "0".into()),
        ("minus zero", "-0".into()),
        ("one", "1".into()),
        ("tiny", "1e-300".into()),
        ("as an exponent, past", "1.7e9".into()),
    ] {
        add("exp", what, Some(&exp), "expired");
    }
    for (what, later) in [
        ("eleven seconds ahead", at(NOW + 11)),
        ("an hour ahead", at(NOW + 3_600)),
        ("a year ahead", at(NOW + 31_536_000)),
        ("in the year 9999", at(253_402_300_799)),
    ] {
        add("iat", what, Some(&later), "issued_later");
        add("nbf", what, Some(&later), "not_yet_valid");
    }
    for name in ["exp", "iat", "nbf"] {
        for (what, value) in [
            ("is a text", format!("\"{}\"", NOW + 300)),
            ("is null", "null".into()),
            ("is true", "true".into()),
            ("is a list", format!("[{}]", NOW + 300)),
            ("is an object", "{}".into()),
            ("is a date", "\"2099-01-01T00:00:00Z\"".into()),
            ("is the text NaN", "\"NaN\"".into()),
            ("is negative", "-1".into()),
            ("is very negative", "-9223372036854775808".into()),
            ("is beyond the year 9999", "253402300800".into()),
            ("is 2^53", at(1 << 53)),
            ("is 2^63", at(1 << 63)),
            ("is 2^64", "18446744073709551616".into()),
            ("is as large as can be", "1.7e308".into()),
            ("is in milliseconds", at((NOW + 300) * 1000)),
        ] {
            add(name, what, Some(&value), "claim_malformed");
        }
    }
    add("exp", "is missing", None, "claim_missing");
    add("iat", "is missing", None, "claim_missing");
    cases
}
