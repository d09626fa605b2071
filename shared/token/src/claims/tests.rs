use super::*;

#[test]
fn claims_are_sorted_and_the_last_of_equal_names_wins() {
    let claims = Claims::from_json(br#"{"b":1,"a":{"z":1,"y":2},"B":1,"b":[2]} x"#).unwrap();
    assert_eq!(claims.to_json(), br#"{"B":1,"a":{"y":2,"z":1},"b":[2]}"#);
    assert_eq!(claims.get("b"), Some("[2]"));
    assert_eq!(claims.get("c"), None);
    assert_eq!(claims.len(), 3);
}

#[test]
fn texts_are_decoded() {
    let claims = Claims::from_json(br#"{"a":"x","b":"\u003c\n","n":5}"#).unwrap();
    assert_eq!(claims.get_text("a").as_deref(), Some("x"));
    assert_eq!(claims.get_text("b").as_deref(), Some("<\n"));
    assert_eq!(claims.get("b"), Some(r#""\u003c\n""#));
    assert_eq!(claims.get_text("n"), None);
}

#[test]
fn claims_can_be_set_and_removed() {
    let mut claims = Claims::from_json(br#"{"m":1,"<":2}"#).unwrap();
    claims.insert("z", vec!["<", "b"]).unwrap();
    claims.insert_json("a", b" 1.50 ").unwrap();
    claims.insert("m", "new").unwrap();
    assert_eq!(
        claims.to_json(),
        br#"{"\u003c":2,"a":1.5,"m":"new","z":["\u003c","b"]}"#
    );
    assert!(claims.remove("<"));
    assert!(!claims.remove("<"));
    assert!(matches!(
        claims.insert_json("a", b"1 2"),
        Err(ClaimsError::Json(_))
    ));
    assert_eq!(claims.names().collect::<Vec<_>>(), ["a", "m", "z"]);
}

#[test]
fn other_values_are_no_claims() {
    for (text, kind) in [
        ("[]", "array"),
        ("\"x\"", "text"),
        ("5", "number"),
        ("null", "null"),
    ] {
        let error = Claims::from_json(text.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ClaimsError::NotAnObject(found) if found == kind),
            "{text}"
        );
    }
}

#[test]
fn debug_output_shows_names_only() {
    let claims = Claims::from_json(br#"{"sub":"harry"}"#).unwrap();
    assert_eq!(format!("{claims:?}"), r#"Claims{"sub"}"#);
}

#[test]
fn names_that_expressions_take_for_literals_are_found_at_every_level() {
    let claims = Claims::from_json(
        br#"{"5":1,"sub":"x","'corp'":1,"o":{"true":1,"n":[{"1e3":":","\"q\"":2}],"v":"5"},"t\"":1}"#,
    )
    .unwrap();
    let mut found = claims.literal_names();
    found.sort();
    assert_eq!(found, ["\"q\"", "'corp'", "1e3", "5", "true"]);
}

#[test]
fn literals_are_what_go_parses() {
    for literal in [
        "0",
        "-1",
        "+5",
        ".5",
        "5.",
        "1e3",
        "1E-7",
        "inf",
        "-Infinity",
        "NaN",
        "0x1p-2",
        "0x_1p4",
        "1_000",
        "t",
        "F",
        "TRUE",
        "False",
        "'x'",
        "\"x\"",
        "`x`",
        "''",
        " 5 ",
    ] {
        assert!(is_literal(literal), "{literal}");
    }
    for name in [
        "", "a", "sub", "tRUE", "e3", "0x10", "1a", "+-5", "'", "'x\"", "infinit", "..", "-", "5 5",
    ] {
        assert!(!is_literal(name), "{name}");
    }
}
