use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

fn lenient(input: &str) -> Result<String, JsonErrorKind> {
    let normal = normalise(input.as_bytes(), Reading::Lenient).map_err(|error| error.kind)?;
    Ok(String::from_utf8(normal).unwrap())
}

fn strict(input: &str) -> Result<String, JsonErrorKind> {
    let normal = normalise(input.as_bytes(), Reading::Strict).map_err(|error| error.kind)?;
    Ok(String::from_utf8(normal).unwrap())
}

/// Each line: the input, and what Go 1.26 decodes and encodes it to, both in base64.
#[test]
fn every_recorded_text_comes_out_as_go_writes_it() {
    for line in include_str!("../../testdata/go-json.txt").lines() {
        let (input, wanted) = line.split_once(' ').unwrap_or((line, ""));
        let input = STANDARD.decode(input).unwrap();
        let found = normalise(&input, Reading::Lenient).ok();
        let found = found.map(|text| String::from_utf8(text).unwrap());
        let wanted = (wanted != "error")
            .then(|| String::from_utf8(STANDARD.decode(wanted).unwrap()).unwrap());
        assert_eq!(found, wanted, "{:?}", String::from_utf8_lossy(&input));
    }
}

#[test]
fn integers_keep_every_digit() {
    for number in [
        "9007199254740993",
        "-18446744073709551617",
        "-0",
        "123456789012345678901234567890",
    ] {
        assert_eq!(lenient(number).as_deref(), Ok(number));
    }
    let longest = "9".repeat(308);
    assert_eq!(lenient(&longest).as_deref(), Ok(longest.as_str()));
    assert_eq!(lenient(&"9".repeat(310)), Err(JsonErrorKind::NumberRange));
}

#[test]
fn errors_say_what_and_where() {
    for (input, kind, offset) in [
        ("", JsonErrorKind::Empty, 0),
        (" \n", JsonErrorKind::Empty, 2),
        ("{\"a\":", JsonErrorKind::UnexpectedEnd, 5),
        ("{\"a\":x}", JsonErrorKind::Syntax, 5),
        ("[1 2]", JsonErrorKind::Syntax, 3),
        ("\"a\nb\"", JsonErrorKind::Control, 2),
        ("\"\\q\"", JsonErrorKind::Escape, 2),
        ("[1e999]", JsonErrorKind::NumberRange, 6),
    ] {
        assert_eq!(
            normalise(input.as_bytes(), Reading::Lenient),
            Err(JsonError { kind, offset }),
            "{input:?}"
        );
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(lenient(&nested(DEEPEST)).is_ok());
    assert_eq!(lenient(&nested(DEEPEST + 1)), Err(JsonErrorKind::Depth));
    assert_eq!(
        lenient(&"{\"a\":".repeat(1_000_000)),
        Err(JsonErrorKind::Depth)
    );
    // Closed levels do not count.
    assert!(lenient(&format!("[{}]", vec!["[[]]"; 500].join(","))).is_ok());
}

#[test]
fn strict_reading_refuses_what_two_readers_could_read_differently() {
    for (input, kind) in [
        (r#"{"a":1,"a":1}"#, JsonErrorKind::Duplicate),
        (r#"{"exp":1,"\u0065xp":2}"#, JsonErrorKind::Duplicate),
        (r#"{"b":{"x":1,"y":2,"x":3}}"#, JsonErrorKind::Duplicate),
        (r#""\ud800""#, JsonErrorKind::Encoding),
        ("{} {}", JsonErrorKind::Trailing),
        ("{}\0", JsonErrorKind::Trailing),
    ] {
        assert_eq!(strict(input), Err(kind), "{input}");
    }
    assert_eq!(strict(" {} \n").as_deref(), Ok("{}"));
    let error = normalise(b"\"\xff\"", Reading::Strict).unwrap_err();
    assert_eq!((error.kind, error.offset), (JsonErrorKind::Encoding, 1));
}

#[test]
fn long_strings_are_copied_whatever_their_alignment() {
    for length in 0..70 {
        for odd in ['"', '<', 'é', '\n', 'x'] {
            let text = format!("{}{odd}{}", "a".repeat(length), "b".repeat(40));
            let quoted = serde_json::to_string(&text).unwrap();
            let normal = lenient(&quoted).unwrap();
            assert_eq!(serde_json::from_str::<String>(&normal).unwrap(), text);
        }
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<i32>().prop_map(|n| (f64::from(n) / 8.0 + 0.0625).into()),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_normal_form_has_the_same_meaning(value in any_json()) {
        let normal = lenient(&value.to_string()).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&normal).unwrap(), value);
        prop_assert_eq!(strict(&normal), Ok(normal));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz_entry::fuzz_json(&bytes);
        crate::fuzz_entry::fuzz_claims(&bytes);
    }
}
