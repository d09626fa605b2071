//! `none` in every spelling, with and without a signature.

use crate::forger::{Case, Forger, encode};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: String, header: &str, reason| {
        let good = forger.signed(header, forger.payload());
        let (input, signature) = good.rsplit_once('.').unwrap();
        for (form, token) in [
            ("empty", format!("{input}.")),
            ("signed", format!("{input}.{signature}")),
            ("two parts", input.to_owned()),
        ] {
            let reason = if form == "two parts" {
                "segments"
            } else {
                reason
            };
            cases.push(forger.case("unsigned", format!("{what}, {form}"), token, reason));
        }
    };
    for (what, alg) in spellings_of_none() {
        let reason = if alg == "none" { "alg_none" } else { "alg" };
        let header = forger.header_with(&format!(r#""alg":"{alg}","typ":"JWT""#));
        add(what, &header, reason);
    }
    add(
        "escaped".into(),
        &forger.header_with(r#""alg":"\u006eone""#),
        "alg_none",
    );
    add(
        "without kid".into(),
        r#"{"alg":"none","typ":"JWT"}"#,
        "alg_none",
    );
    let harry = encode(r#"{"sub":"harry","roles":["admin"]}"#);
    let header = encode(r#"{"alg":"none","typ":"JWT"}"#);
    let token = format!("{header}.{harry}.");
    cases.push(forger.case(
        "unsigned",
        "the form in which tests name an actor",
        token,
        "alg_none",
    ));
    cases
}

/// `none` in every mixture of capitals, and with something around it.
pub(crate) fn spellings_of_none() -> Vec<(String, String)> {
    let mut spellings = Vec::new();
    for capitals in 0..16_u8 {
        let spell = |(at, c): (usize, char)| {
            if capitals & (1 << at) == 0 {
                c
            } else {
                c.to_ascii_uppercase()
            }
        };
        let spelled: String = "none".chars().enumerate().map(spell).collect();
        for (around, alg) in [
            ("plain", spelled.clone()),
            ("blank behind", format!("{spelled} ")),
            ("blank ahead", format!(" {spelled}")),
            ("NUL behind", format!("{spelled}\\u0000")),
            ("tab behind", format!("{spelled}\\t")),
            ("comma", format!("{spelled},EdDSA")),
        ] {
            spellings.push((format!("{spelled}, {around}"), alg));
        }
    }
    spellings
}
