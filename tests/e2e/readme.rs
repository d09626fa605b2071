//! What the README and the page on rotation say is what the code does.

use microbus_service::{Property, Rule};
use microbus_wire::duration;
use std::time::Duration;

/// Duration text as the README writes it: without the zero units that Go prints.
fn short(bound: Duration) -> String {
    duration::format(bound)
        .replace("m0s", "m")
        .replace("h0m", "h")
}

fn row(property: &Property) -> String {
    let code = |text: &str| format!("`{text}`");
    let rule = if let Rule::Own(rule) = property.rule {
        *rule
    } else {
        property.rule
    };
    let (least, most) = match rule {
        Rule::Duration { least, most } => {
            let cell = |bound| format!(" {}", code(&short(bound)));
            (cell(least), most.map(cell).unwrap_or_default())
        }
        Rule::Count { least, most } => (format!(" `{least}`"), format!(" `{most}`")),
        Rule::Switch
        | Rule::Key
        | Rule::Choice(_)
        | Rule::Words(_)
        | Rule::Path
        | Rule::Minters
        | Rule::MintPolicy
        | Rule::Own(_)
        | Rule::OwnFile { .. } => (String::new(), String::new()),
    };
    let default = match property.default {
        "" => "none".to_owned(),
        default => code(default),
    };
    format!(
        "| {} | {default} |{least} |{most} | {} |",
        code(property.name),
        property.effect
    )
}

#[test]
fn every_property_stands_in_its_table_with_default_bounds_and_effect() {
    let readme = include_str!("../../README.md");
    let properties = access_token::PROPERTIES
        .iter()
        .chain(bearer_token::PROPERTIES);
    for row in properties.map(row) {
        assert!(readme.contains(&row), "README.md lacks the row\n{row}");
    }
}

#[test]
fn every_log_line_of_the_page_on_rotation_is_written_by_the_code() {
    let page = include_str!("../../access-token/ROTATION.md");
    let code = [
        include_str!("../../access-token/src/exchange.rs"),
        include_str!("../../access-token/src/issuer.rs"),
        include_str!("../../access-token/src/replicas.rs"),
        include_str!("../../access-token/src/service.rs"),
        include_str!("../../shared/service/src/warming.rs"),
    ];
    // Log lines are the quoted texts of several words that begin with a capital.
    let quoted = page.split('`').skip(1).step_by(2);
    let lines: Vec<_> = quoted
        .filter(|text| text.contains(' ') && text.starts_with(char::is_uppercase))
        .collect();
    assert!(lines.len() > 5, "{lines:?}");
    for line in lines {
        assert!(
            code.iter().any(|file| file.contains(line)),
            "nothing logs '{line}'"
        );
    }
}

#[test]
fn every_figure_of_the_page_on_rotation_is_that_of_the_code() {
    let page = include_str!("../../access-token/ROTATION.md");
    let member = include_str!("../../access-token/src/member.rs");
    let replicas = include_str!("../../access-token/src/replicas.rs");
    let exchange = include_str!("../../access-token/src/exchange.rs");
    let warming = include_str!("../../shared/service/src/warming.rs");
    let health = include_str!("../../shared/service/src/health.rs");
    let ring = include_str!("../../shared/token/src/ring.rs");
    for (said, code, source) in [
        (
            "asked again after 1.1 s",
            "DEBOUNCE: Duration = Duration::from_millis(1100)",
            member,
        ),
        ("twice at most", "SHOWING_RETRIES: u32 = 2", member),
        ("up to three times", "TELLING_RETRIES: u32 = 2", member),
        (
            "at least 1.2 s apart",
            "SPACING: Duration = Duration::from_millis(1200)",
            member,
        ),
        ("From 1000 verifiers on", "MANY: usize = 1000", warming),
        ("500 a second", "AT_ONCE: usize = 50", warming),
        (
            "500 a second",
            "PAUSE: Duration = Duration::from_millis(100)",
            warming,
        ),
        (
            "fell silent for 15 s",
            "SILENCE: Duration = Duration::from_secs(15)",
            replicas,
        ),
        ("at most 16 of one", "MOST_OF_ONE: usize = 16", replicas),
        ("48 of all others", "MOST_FOREIGN: usize = 48", replicas),
        (
            "every five seconds",
            "INTERVAL: Duration = Duration::from_secs(5)",
            exchange,
        ),
        (
            "waits up to 60 ms",
            "LONGEST_EXPECTATION: Duration = Duration::from_millis(60)",
            exchange,
        ),
        (
            "10 s after it was published",
            "ACTIVATION_DELAY: Duration = Duration::from_secs(10)",
            ring,
        ),
        (
            "16 min 5 s later",
            "MARGIN: Duration = Duration::from_secs(60)",
            ring,
        ),
        (
            "waits for replicas and verifiers to know its key",
            "waits for replicas and verifiers to know its key",
            health,
        ),
    ] {
        assert!(page.contains(said), "the page does not say '{said}'");
        assert!(source.contains(code), "the code does not say '{code}'");
    }
    let (ceiling, padding) = (
        microbus_token::ACCESS_CEILING,
        microbus_token::ACCESS_PADDING,
    );
    let minute = Duration::from_secs(60);
    assert_eq!(ceiling + padding + minute, Duration::from_secs(16 * 60 + 5));
}
