//! The recorded outcomes of the Go services, and what is ours.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::ParseErrorKind;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: u32,
    expression: String,
    claims: Map<String, Value>,
    /// `true`, `false` or `"error"`.
    expected: Value,
    /// `error` if the Go services refuse to register it.
    registration: String,
}

/// Ours by number of the vector: an outcome, or `None` for an error when parsing.
const DEVIATIONS: [(u32, Option<bool>, &str); 10] = [
    (64, None, "a bad regular expression is found when parsing"),
    (77, Some(false), "a name with a dot in it is no path"),
    (81, None, "a bad regular expression is found when parsing"),
    (82, None, "a bad regular expression is found when parsing"),
    (
        97,
        Some(false),
        "T is a boolean word, whatever claims there are",
    ),
    (
        124,
        Some(false),
        "a claim named `roles.admin` is not the role",
    ),
    (142, Some(false), "a claim named `'admin'` is not the text"),
    (143, Some(false), "a claim named `5` is not the number"),
    (
        144,
        Some(false),
        "a claim named `true` is not the value of a group",
    ),
    (146, Some(true), "a claim named `true` is not the boolean"),
];

#[test]
fn every_vector_has_its_outcome_or_a_reason_for_another() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../testdata/vectors.json")).unwrap();
    let deviations: HashMap<_, _> = DEVIATIONS
        .iter()
        .map(|(id, ours, why)| (*id, (*ours, *why)))
        .collect();
    assert_eq!(vectors.vectors.len(), 169);
    for vector in vectors.vectors {
        let accepted = vector.registration == "ok";
        let expected = vector.expected.as_bool().filter(|_| accepted);
        let recorded = (expected, "as recorded");
        let (expected, why) = deviations.get(&vector.id).copied().unwrap_or(recorded);
        assert_eq!(
            expected == recorded.0,
            why == recorded.1,
            "{} is no deviation",
            vector.id
        );
        let ours = RequiredClaims::parse(&vector.expression);
        let outcome = ours
            .as_ref()
            .ok()
            .map(|ours| ours.is_met_by(&vector.claims));
        assert_eq!(
            outcome, expected,
            "{} {:?} {ours:?} ({why})",
            vector.id, vector.expression
        );
    }
}

fn meets(expression: &str, claims: &Value) -> bool {
    RequiredClaims::parse(expression)
        .unwrap_or_else(|error| panic!("{expression}: {error}"))
        .is_met_by(claims.as_object().unwrap())
}

#[test]
fn connectives_bind_as_written() {
    let claims = json!({"a": true, "n": 3});
    for (expression, outcome) in [
        ("a || b && c", true),
        ("(a || b) && c", false),
        ("!b && !!a", true),
        ("!(a && n==3)", false),
        ("((((a))))", true),
        ("!tRUE", false),
        ("! FALSE || b", true),
        ("a==true && b==c", true),
        ("n!=a && n>=3 && n<=3 && !(n<3) && !(n>3)", true),
        ("a<=a && a>=true && !(a<true)", true),
        ("nan==nan", false),
        ("nan!=nan", true),
        ("foo=~'a' || foo!~'a'", false),
    ] {
        assert_eq!(meets(expression, &claims), outcome, "{expression}");
    }
}

#[test]
fn texts_may_hold_whatever_misleads_nobody() {
    for (expression, claims) in [
        ("s=='a<b'", json!({"s": "a<b"})),
        ("s=~'(?P<x>a)>'", json!({"s": "a>"})),
        ("s=='=='", json!({"s": "=="})),
        ("s==\"(it's)\"", json!({"s": "(it's)"})),
        ("s=~'(a|b)' && s!=\"it's\"", json!({"s": "a"})),
        ("s==\"it's\" && (t)", json!({"s": "it's", "t": 1})),
        ("s=='a & b | c'", json!({"s": "a & b | c"})),
    ] {
        assert!(meets(expression, &claims), "{expression}");
    }
}

#[test]
fn errors_say_what_and_where() {
    use ParseErrorKind as Kind;
    for (expression, kind, offset) in [
        ("", Kind::MissingOperand, 0),
        ("a && ", Kind::MissingOperand, 5),
        ("a || || b", Kind::MissingOperand, 5),
        ("()", Kind::MissingOperand, 1),
        ("level> =5", Kind::MissingOperand, 7),
        ("level=5", Kind::Unexpected('='), 5),
        ("a & b", Kind::Unexpected('&'), 2),
        ("a b", Kind::Unexpected('b'), 2),
        ("(a) (b)", Kind::Unexpected('('), 4),
        ("(a)==true", Kind::Unexpected('='), 3),
        ("a==(b)", Kind::Unexpected('('), 3),
        ("(a b)", Kind::Unexpected('b'), 3),
        ("a)", Kind::Unexpected(')'), 1),
        ("(a", Kind::OpenGroup, 2),
        ("x=='a", Kind::OpenText, 3),
        ("!a==b", Kind::NegatedComparison, 0),
        ("b && !true==b", Kind::NegatedComparison, 5),
        ("a-b", Kind::Operand("a-b".into()), 0),
        ("a..b", Kind::Operand("a..b".into()), 0),
        ("é", Kind::Unexpected('é'), 0),
        ("n==0x1p4", Kind::Hexadecimal("0x1p4".into()), 3),
        ("s=='a||b'", Kind::OperatorInText("||"), 5),
        ("s=='a&&b'", Kind::OperatorInText("&&"), 5),
        ("s!='a==b'", Kind::OperatorInText("=="), 5),
        ("'a>b'==s && 'a!=b'", Kind::OperatorInText("!="), 14),
        ("s==\"'x'(y)\"", Kind::GroupInText, 3),
        ("s==\"it's\" && t=='(y)'", Kind::GroupInText, 16),
        ("s=~t", Kind::RegexpNotText, 3),
        ("s!~5", Kind::RegexpNotText, 3),
        (
            "a || s=~'[b'",
            Kind::Regexp("a `[` is not closed".into()),
            8,
        ),
    ] {
        let error = RequiredClaims::parse(expression).unwrap_err();
        assert_eq!(
            (&error.kind, error.offset),
            (&kind, offset),
            "{expression}: {error}"
        );
    }
}

#[test]
fn size_nesting_and_number_of_regular_expressions_are_bounded() {
    let nested = |depth| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(RequiredClaims::parse(&nested(64)).is_ok());
    let error = RequiredClaims::parse(&nested(65)).unwrap_err();
    assert_eq!((error.kind, error.offset), (ParseErrorKind::TooDeep, 65));
    let error = RequiredClaims::parse(&"a".repeat(4097)).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::TooLong);
    assert!(RequiredClaims::parse(&format!("{}a", "!".repeat(4095))).is_ok());
    let matches = |count| vec!["s=~'a'"; count].join("||");
    assert!(RequiredClaims::parse(&matches(32)).is_ok());
    let error = RequiredClaims::parse(&matches(33)).unwrap_err();
    assert_eq!(error.kind, ParseErrorKind::TooManyRegexps);
}
