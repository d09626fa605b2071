use super::*;

fn body(text: &str) -> Result<String, ArgumentsError> {
    let none = std::iter::empty::<(&str, &str)>;
    decode_claims(Some(text.as_bytes()), none(), none())
        .map(|claims| String::from_utf8(claims.to_json()).unwrap())
}

fn query(pairs: &[(&str, &str)]) -> Result<String, ArgumentsError> {
    decode_claims(None, [], pairs.iter().copied())
        .map(|claims| String::from_utf8(claims.to_json()).unwrap())
}

#[test]
fn claims_are_found_in_a_body() {
    for (text, wanted) in [
        (r#"{"claims":{"b":1,"a":2}}"#, r#"{"a":2,"b":1}"#),
        (
            r#"{"x":[{"claims":5}],"CLAIMS":{"a":1},"y":"\u003c"}"#,
            r#"{"a":1}"#,
        ),
        ("{\"claim\u{17f}\":{\"a\":1}}", r#"{"a":1}"#),
        (
            r#"{"\u0063laims":{"a":{"c":1,"b":[{"z":1,"y":2}]}}}"#,
            r#"{"a":{"b":[{"y":2,"z":1}],"c":1}}"#,
        ),
        (r#"{"claims":{"a":1},"Claims":{"b":1}}"#, r#"{"b":1}"#),
        (r#"{"claims":[1],"claims":{}}"#, "{}"),
        (r#"{"claims":{"a":1},"claims":null}"#, "{}"),
        ("{}", "{}"),
        ("null", "{}"),
        (r#"{"claims":{"a":1}} trailing"#, r#"{"a":1}"#),
    ] {
        assert_eq!(body(text).as_deref(), Ok(wanted), "{text}");
    }
}

#[test]
fn bodies_that_are_no_arguments_are_refused() {
    for (text, wanted) in [
        ("[]", ArgumentsError::Body("array")),
        ("\"x\"", ArgumentsError::Body("text")),
        ("5", ArgumentsError::Body("number")),
        ("true", ArgumentsError::Body("boolean")),
        (r#"{"claims":[1,2]}"#, ArgumentsError::Claims("array")),
        (r#"{"claims":"x"}"#, ArgumentsError::Claims("text")),
        (
            r#"{"claims":{"a":1},"claims":5}"#,
            ArgumentsError::Claims("number"),
        ),
        (r#"{"claims":false}"#, ArgumentsError::Claims("boolean")),
    ] {
        assert_eq!(body(text), Err(wanted), "{text}");
    }
    for text in [
        "",
        "{not",
        "{\"claims\":{\"sub\":\"x\"",
        "\u{feff}{}",
        "{\"other\":1e400}",
        "[1",
    ] {
        assert!(matches!(body(text), Err(ArgumentsError::Json(_))), "{text}");
    }
}

#[test]
fn pairs_nest_and_are_typed() {
    for (pairs, wanted) in [
        (
            &[("claims[sub]", "q"), ("claims.n", "5"), ("x", "1")][..],
            r#"{"n":5,"sub":"q"}"#,
        ),
        (
            &[("claims.a[1]", "y"), ("claims[a].0", "x")],
            r#"{"a":["x","y"]}"#,
        ),
        (
            &[("claims.a[1]", "y"), ("claims.a.2", "x")],
            r#"{"a":{"1":"y","2":"x"}}"#,
        ),
        (&[("claims.a", "1"), ("claims.a", "2")], r#"{"a":2}"#),
        (
            &[("CLAIMS.t", "true"), ("CLAIMS.n", "null")],
            r#"{"n":null,"t":true}"#,
        ),
        (
            &[("claims.a", "\"5\""), ("claims.b", "01"), ("claims.c", "")],
            r#"{"a":"5","b":"01","c":""}"#,
        ),
        (
            &[
                ("claims.a", "-1.50e3"),
                ("claims.b", "5 "),
                ("claims.c", "1\n"),
            ],
            r#"{"a":-1500,"b":"5 ","c":"1\n"}"#,
        ),
        (
            &[("claims.big", "9007199254740993"), ("claims.<", "<")],
            r#"{"\u003c":"\u003c","big":9007199254740993}"#,
        ),
        (&[("claims", "null")], "{}"),
        (&[("other.a", "1"), ("other", "2")], "{}"),
        (&[], "{}"),
    ] {
        assert_eq!(query(pairs).as_deref(), Ok(wanted), "{pairs:?}");
    }
}

#[test]
fn colliding_pairs_are_refused_in_either_order() {
    for pairs in [
        [("claims", "5"), ("claims.a", "1")],
        [("claims[a]", "1"), ("claims[a].b", "2")],
        [("claims.a", "1"), ("CLAIMS.b", "2")],
    ] {
        let mut turned = pairs;
        turned.reverse();
        assert_eq!(query(&pairs), Err(ArgumentsError::Collision), "{pairs:?}");
        assert_eq!(query(&turned), Err(ArgumentsError::Collision), "{pairs:?}");
    }
}

#[test]
fn the_query_beats_the_form_beats_the_body() {
    let all = |query: &[(&'static str, &'static str)], form: &[(&'static str, &'static str)]| {
        let body = br#"{"claims":{"from":"body"}}"#;
        let claims =
            decode_claims(Some(body), form.iter().copied(), query.iter().copied()).unwrap();
        claims.get_text("from").map(std::borrow::Cow::into_owned)
    };
    let query = [("claims.from", "query")];
    let form = [("claims.from", "form")];
    assert_eq!(all(&query, &form).as_deref(), Some("query"));
    assert_eq!(all(&[], &form).as_deref(), Some("form"));
    assert_eq!(all(&[("x", "1")], &[]).as_deref(), Some("body"));
    assert_eq!(all(&[("claims", "null")], &form), None);
}

#[test]
fn pairs_are_bounded() {
    let pairs = |count| vec![("claims.a", "1"); count];
    assert!(query(&pairs(MOST_PAIRS)).is_ok());
    assert_eq!(query(&pairs(MOST_PAIRS + 1)), Err(ArgumentsError::TooMany));
    let deep = format!("claims{}", ".a".repeat(DEEPEST + 1));
    assert!(matches!(
        query(&[(&deep, "1")]),
        Err(ArgumentsError::Json(_))
    ));
    assert!(matches!(
        query(&[("claims.a", "1e400")]),
        Err(ArgumentsError::Json(_))
    ));
    assert_eq!(
        query(&[("claims", "5")]),
        Err(ArgumentsError::Claims("number"))
    );
    assert_eq!(
        query(&[("claims.0", "5")]),
        Err(ArgumentsError::Claims("array"))
    );
}

#[test]
fn operations_without_arguments_want_an_object() {
    for text in ["{}", "null", r#"{"a":1} x"#] {
        assert_eq!(expect_object(text.as_bytes()), Ok(()));
    }
    assert_eq!(expect_object(b"[]"), Err(ArgumentsError::Body("array")));
    assert!(matches!(expect_object(b""), Err(ArgumentsError::Json(_))));
}
