//! Headers and payloads that two JSON readers would read differently, or that cost too much.

use super::forger::{Case, Forger};
use crate::json::{costly, malformed, members, twice};

pub(crate) fn cases(forger: &Forger<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, text) in malformed(&forger.payload()) {
        let token = forger.signed(forger.header(), text);
        cases.push(forger.case("json", format!("payload: {what}"), token, "payload"));
    }
    for (what, text) in malformed(&forger.header()) {
        let token = forger.signed(text, forger.payload());
        cases.push(forger.case("json", format!("header: {what}"), token, "header"));
    }
    for (what, members) in members() {
        let token = forger.signed(forger.header(), forger.payload_with(&members));
        cases.push(forger.case("json", format!("claim: {what}"), token, "payload"));
        let token = forger.signed(forger.header_with(&members), forger.payload());
        cases.push(forger.case("json", format!("header member: {what}"), token, "header"));
    }
    let names = [
        "exp",
        "iat",
        "nbf",
        "iss",
        "sub",
        "aud",
        "azp",
        "nonce",
        "client_id",
        "groups",
    ];
    for (what, members) in twice(&names) {
        let token = forger.signed(forger.header(), forger.payload_with(&members));
        cases.push(forger.case("json", what, token, "payload"));
    }
    for (what, token) in costly(&forger.parts()) {
        cases.push(forger.case("json", what, token, "too_large"));
    }
    cases
}
