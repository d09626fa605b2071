//! What the README says of the properties is what is declared.

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
