use super::*;

const GOOD: &str = r"
providers:
  - issuer: https://login.example
    algorithms: [RS256]
    id_tokens: {audiences: [web-app]}
    claims: {sub: }
";

fn changed(from: &str, to: &str) -> Result<Settings, String> {
    assert!(GOOD.contains(from), "{from}");
    Settings::parse(&GOOD.replace(from, to)).map_err(|error| error.to_string())
}

#[test]
fn the_documented_example_is_read() {
    let documented: String = include_str!("../settings.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("///"))
        .skip_while(|line| !line.contains("```yaml"))
        .skip(1)
        .take_while(|line| !line.contains("```"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let settings = Settings::parse(&documented).unwrap();
    let [provider] = &*settings.providers else {
        panic!("{settings:?}");
    };
    assert_eq!(provider.issuer, "https://login.example");
    assert_eq!(provider.rules.clock_tolerance, Duration::from_secs(10));
}

#[test]
fn the_sample_of_the_example_is_read() {
    Settings::parse(include_str!("../../examples/bridge/bridge.yaml")).unwrap();
}

#[test]
fn what_is_absent_has_a_safe_default() {
    let settings = Settings::parse(GOOD).unwrap();
    let rules = &settings.providers[0].rules;
    let id_tokens = rules.id_tokens.as_ref().unwrap();
    assert_eq!(
        id_tokens.authorized_parties.as_deref(),
        Some(&["web-app".to_owned()][..])
    );
    assert_eq!(rules.access_tokens, None);
    assert_eq!(rules.clock_tolerance, DEFAULT_TOLERANCE);
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    for (from, to, problem) in [
        (
            "https:",
            "http:",
            "providers[0].issuer: http://login.example is not https",
        ),
        (
            "https://login.example",
            "login",
            "providers[0].issuer: \"login\" is no absolute URL",
        ),
        (
            "login.example",
            "login.example?x",
            "providers[0].issuer: an issuer has no query",
        ),
        ("[RS256]", "[]", "providers[0].algorithms: none is listed"),
        ("[RS256]", "[HS256]", "unknown variant `HS256`"),
        ("[RS256]", "[none]", "unknown variant `none`"),
        (
            "[web-app]",
            "[]",
            "providers[0].id_tokens: audiences are missing",
        ),
        (
            "    id_tokens: {audiences: [web-app]}\n",
            "",
            "neither id_tokens nor access_tokens",
        ),
        (
            "{sub: }",
            "{iss: }",
            "providers[0].claims.iss: only the platform",
        ),
        (
            "algorithms:",
            "clock_tolerance: 61s\n    algorithms:",
            "allowed is 0s to 1m",
        ),
        (
            "algorithms:",
            "clock_tolerance: -1s\n    algorithms:",
            "allowed is 0s to 1m",
        ),
        (
            "algorithms:",
            "clock_tolerance: soon\n    algorithms:",
            "write 10s",
        ),
        (
            "algorithms:",
            "algorithm: RS256\n    algorithms:",
            "unknown field `algorithm`",
        ),
        (
            "algorithms:",
            "issuer: https://b.example\n    algorithms:",
            "duplicate field `issuer`",
        ),
        ("    claims: {sub: }\n", "", "missing field `claims`"),
        ("providers:", "provider:", "unknown field `provider`"),
    ] {
        let error = changed(from, to).unwrap_err();
        assert!(error.contains(problem), "{to}: {error}");
    }
    assert!(Settings::parse("").is_err());
    let none = Settings::parse("providers: []").unwrap_err();
    assert!(none.to_string().contains("none is configured"), "{none}");
    let twice = format!("{GOOD}{}", GOOD.replace("\nproviders:\n", ""));
    let twice = Settings::parse(&twice).unwrap_err().to_string();
    assert!(
        twice.contains("providers[1].issuer: https://login.example is there twice"),
        "{twice}"
    );
}
