//! Headers and payloads that two JSON readers would read differently, or that cost too much.

use crate::forger::{Case, Forger};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
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
        let header = forger.header_with(&format!(r#""alg":"EdDSA",{members}"#));
        let token = forger.signed(header, forger.payload());
        cases.push(forger.case("json", format!("header member: {what}"), token, "header"));
    }
    let names = [
        "exp", "iat", "nbf", "iss", "sub", "roles", "aud", "jti", "idp", "tid",
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

/// Ways to spoil an object as a whole.
pub(crate) fn malformed(good: &str) -> Vec<(String, Vec<u8>)> {
    let inner = &good[1..good.len() - 1];
    let mut texts: Vec<(String, Vec<u8>)> = [
        ("nothing", String::new()),
        ("a blank", " ".into()),
        ("null", "null".into()),
        ("true", "true".into()),
        ("a number", "1".into()),
        ("a text", r#""x""#.into()),
        ("a list", format!("[{good}]")),
        ("an empty list", "[]".into()),
        ("a text of it", serde_json::to_string(good).unwrap()),
        ("two objects", format!("{good}{good}")),
        ("a brace more", format!("{good}}}")),
        ("a brace less", good[..good.len() - 1].into()),
        ("a letter behind", format!("{good}x")),
        ("a comma behind", format!("{good},")),
        ("NUL behind", format!("{good}\0")),
        ("a byte order mark", format!("\u{feff}{good}")),
        ("a comment behind", format!("{good}//x")),
        ("a comment inside", format!("{{/**/{inner}}}")),
        ("a line comment", format!("{{//x\n{inner}}}")),
        ("single quotes", good.replace('"', "'")),
        ("no quotes", good.replace('"', "")),
        ("a final comma", format!("{{{inner},}}")),
        ("a leading comma", format!("{{,{inner}}}")),
        ("two commas", good.replacen(',', ",,", 1)),
        ("semicolons", good.replace(',', ";")),
        ("equals signs", good.replace(':', "=")),
        ("two colons", good.replacen(':', "::", 1)),
        ("a vertical tab", format!("\u{b}{good}")),
        ("a no-break space", format!("\u{a0}{good}")),
        ("YAML", inner.replace(',', "\n")),
        ("XML", "<claims/>".into()),
        ("a form feed", format!("{good}\u{c}")),
        ("typographic quotes", good.replace('"', "”")),
    ]
    .into_iter()
    .map(|(what, text)| (what.to_owned(), text.into_bytes()))
    .collect();
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    texts.push(("UTF-16".into(), wide));
    let wide: Vec<u8> = good
        .chars()
        .flat_map(|c| u32::from(c).to_be_bytes())
        .collect();
    texts.push(("UTF-32".into(), wide));
    for cut in 1..inner.len().min(24) {
        texts.push((
            format!("cut after {cut} bytes"),
            good.as_bytes()[..cut].to_vec(),
        ));
    }
    let bytes: [(&str, &[u8]); 8] = [
        ("overlong slash", b"\xc0\xaf"),
        ("overlong NUL", b"\xc0\x80"),
        ("surrogate", b"\xed\xa0\x80"),
        ("beyond Unicode", b"\xf4\x90\x80\x80"),
        ("lone continuation", b"\x80"),
        ("cut sequence", b"\xe2\x82"),
        ("FF", b"\xff"),
        ("FE FF", b"\xfe\xff"),
    ];
    for (what, bytes) in bytes {
        let text = [b"{\"x\":\"", bytes, b"\",", inner.as_bytes(), b"}"].concat();
        texts.push((format!("{what} in a text"), text));
        let name = [b"{\"", bytes, b"\":1,", inner.as_bytes(), b"}"].concat();
        texts.push((format!("{what} in a name"), name));
    }
    texts
}

/// Members that spoil an object.
pub(crate) fn members() -> Vec<(String, String)> {
    let mut members: Vec<_> = [
        ("1e400", "1e400"),
        ("-1e400", "-1e400"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("hexadecimal", "0x10"),
        ("octal", "010"),
        ("a plus", "+1"),
        ("a bare point", ".5"),
        ("a final point", "5."),
        ("two signs", "--1"),
        ("a bare exponent", "1e"),
        ("an underscore", "1_000"),
        ("undefined", "undefined"),
        ("None", "None"),
        ("TRUE", "TRUE"),
        ("a function", "new Date()"),
        ("a lone high surrogate", r#""\ud800""#),
        ("a lone low surrogate", r#""\udc00""#),
        ("surrogates the wrong way round", r#""\udc00\ud800""#),
        ("a short escape", r#""\u12""#),
        ("an unknown escape", r#""\x41""#),
        ("a single quote escape", r#""\'""#),
        ("a line break in a text", "\"a\nb\""),
        ("a tab in a text", "\"a\tb\""),
        ("NUL in a text", "\"a\0b\""),
        ("an open text", "\"a"),
        ("an open list", "[1"),
        ("a bracket for a brace", "{]"),
        ("a list with a colon", "[1:2]"),
        ("a final comma in a list", "[1,]"),
        ("no value", ""),
    ]
    .into_iter()
    .map(|(what, value)| (what.to_owned(), format!(r#""x":{value}"#)))
    .collect();
    for depth in [128, 129, 200, 1_000, 2_000] {
        let lists = format!(r#""x":{}{}"#, "[".repeat(depth), "]".repeat(depth));
        members.push((format!("{depth} lists inside one another"), lists));
        if depth < 1_000 {
            let objects = format!(r#""x":{}1{}"#, r#"{"x":"#.repeat(depth), "}".repeat(depth));
            members.push((format!("{depth} objects inside one another"), objects));
        }
    }
    members
}

/// Members that are there more than once, as one reader counts and another does not.
pub(crate) fn twice(names: &[&str]) -> Vec<(String, String)> {
    let mut members = Vec::new();
    for name in names {
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        for (form, written) in [
            ("twice", format!(r#""{name}":1,"{name}":1"#)),
            ("twice, escaped", format!(r#""{name}":1,"{escaped}":2"#)),
            (
                "three times",
                format!(r#""{name}":1,"{name}":2,"{escaped}":3"#),
            ),
            (
                "twice inside an object",
                format!(r#""x":{{"{name}":1,"{escaped}":2}}"#),
            ),
        ] {
            members.push((format!("{name} {form}"), written));
        }
    }
    members
}

/// Tokens that nobody signs: they must be refused for their size before anything else is looked at.
pub(crate) fn costly(parts: &[String; 3]) -> Vec<(&'static str, String)> {
    let [header, _, signature] = parts;
    [
        ("10 MiB of text", "x".repeat(10 << 20)),
        ("100 000 lists inside one another", "[".repeat(100_000)),
        ("100 000 claims", r#""x":0,"#.repeat(100_000)),
    ]
    .into_iter()
    .map(|(what, text)| {
        let payload = base64_simd::URL_SAFE_NO_PAD.encode_to_string(text);
        (what, format!("{header}.{payload}.{signature}"))
    })
    .collect()
}
