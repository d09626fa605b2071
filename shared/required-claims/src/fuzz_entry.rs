//! Entry point of the fuzz target: asserts relations that hold for every input.

use serde_json::{Map, Value};

use crate::{LONGEST_EXPRESSION, RequiredClaims};

/// Input is an expression and, after the last line break, claims as a JSON object, else no claims.
///
/// What is accepted means the same in parentheses, and the opposite with `!` in front of them.
pub fn fuzz_required_claims(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (source, claims) = text.rsplit_once('\n').unwrap_or((&text, ""));
    let claims: Map<String, Value> = serde_json::from_str(claims).unwrap_or_default();
    let expression = match RequiredClaims::parse(source) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(error.offset <= source.len(), "{error}");
            return;
        }
    };
    assert_eq!(expression.as_str(), source);
    let met = expression.is_met_by(&claims);
    for (wrapped, same) in [
        (format!("({source})"), true),
        (format!("!({source})"), false),
    ] {
        // One group more may be one too many.
        if let Ok(wrapped) = RequiredClaims::parse(&wrapped) {
            assert_eq!(wrapped.is_met_by(&claims) == met, same);
        } else {
            assert!(wrapped.len() > LONGEST_EXPRESSION || source.contains('('));
        }
    }
}
