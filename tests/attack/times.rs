//! Tokens out of their time, and times that are no numbers.

use crate::NOW;
use crate::forger::{Case, Forger};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    let late = (NOW + 20).to_string();
    let early = (NOW - 5).to_string();
    let mut add = |what: String, times: String, reason| {
        let payload = format!(
            r#"{{{times}"iss":"{}","sub":"harry"}}"#,
            forger.issuer.url()
        );
        let token = forger.signed(forger.header(), payload);
        cases.push(forger.case("times", what, token, reason));
    };
    for (what, exp) in [
        ("now", NOW.to_string()),
        ("a second ago", (NOW - 1).to_string()),
        ("in fractions now", format!("{NOW}.999")),
        ("an hour ago", (NOW - 3600).to_string()),
        ("zero", "0".into()),
        ("minus zero", "-0".into()),
        ("minus one", "-1".into()),
        ("one", "1".into()),
        ("very negative", "-9223372036854775808".into()),
        ("2^31", "2147483648e-1".into()),
        ("tiny", "1e-300".into()),
        ("as an exponent, past", "1.7e9".into()),
        ("minus the largest", "-1.7e308".into()),
    ] {
        add(
            format!("exp {what}"),
            format!(r#""exp":{exp},"iat":{early},"#),
            "expired",
        );
    }
    for (what, value) in [
        ("a text", format!("\"{late}\"")),
        ("null", "null".into()),
        ("true", "true".into()),
        ("false", "false".into()),
        ("a list", format!("[{late}]")),
        ("an empty list", "[]".into()),
        ("an object", "{}".into()),
        ("an empty text", "\"\"".into()),
        ("a date", "\"2099-01-01T00:00:00Z\"".into()),
        ("the text NaN", "\"NaN\"".into()),
        ("the text inf", "\"inf\"".into()),
        (
            "an object with a number",
            format!(r#"{{"$numberLong":"{late}"}}"#),
        ),
    ] {
        add(
            format!("exp is {what}"),
            format!(r#""exp":{value},"iat":{early},"#),
            "time_malformed",
        );
        add(
            format!("iat is {what}"),
            format!(r#""exp":{late},"iat":{value},"#),
            "time_malformed",
        );
        add(
            format!("nbf is {what}"),
            format!(r#""exp":{late},"iat":{early},"nbf":{value},"#),
            "time_malformed",
        );
    }
    for (what, seconds) in [
        ("a second", NOW + 1),
        ("five seconds", NOW + 5),
        ("an hour", NOW + 3_600),
        ("a year", NOW + 31_536_000),
        ("2^40 seconds", 1 << 40),
        ("2^53 seconds", 1 << 53),
        ("2^63 seconds", 1 << 63),
        ("as long as can be", u64::MAX),
    ] {
        let exp = "1e300";
        add(
            format!("iat {what} ahead"),
            format!(r#""exp":{exp},"iat":{seconds},"#),
            "issued_later",
        );
        add(
            format!("nbf {what} ahead"),
            format!(r#""exp":{exp},"iat":{early},"nbf":{seconds},"#),
            "not_yet_valid",
        );
    }
    for value in ["1e18", "1e300", "1.8000000011e9", "18000000010e-1"] {
        add(
            format!("iat is {value}"),
            format!(r#""exp":1e300,"iat":{value},"#),
            "issued_later",
        );
        add(
            format!("nbf is {value}"),
            format!(r#""exp":1e300,"iat":{early},"nbf":{value},"#),
            "not_yet_valid",
        );
    }
    for (what, times, reason) in [
        ("no exp", format!(r#""iat":{early},"#), "exp_missing"),
        (
            "EXP instead of exp",
            format!(r#""EXP":{late},"iat":{early},"#),
            "exp_missing",
        ),
        (
            "expires instead of exp",
            format!(r#""expires":{late},"iat":{early},"#),
            "exp_missing",
        ),
        (
            "exp inside an object",
            format!(r#""x":{{"exp":{late}}},"iat":{early},"#),
            "exp_missing",
        ),
        ("no iat", format!(r#""exp":{late},"#), "iat_missing"),
        (
            "IAT instead of iat",
            format!(r#""exp":{late},"IAT":{early},"#),
            "iat_missing",
        ),
        ("no times", String::new(), "exp_missing"),
        (
            "exp in milliseconds, past as seconds",
            r#""exp":1800,"iat":1,"#.to_owned(),
            "expired",
        ),
        (
            "iat in milliseconds",
            format!(r#""exp":1e300,"iat":{NOW}000,"#),
            "issued_later",
        ),
        (
            "expired and not yet valid",
            format!(r#""exp":{NOW},"iat":{early},"nbf":{late},"#),
            "expired",
        ),
    ] {
        add(what.to_owned(), times, reason);
    }
    cases
}
