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
    let (least, most) = match property.rule {
        Rule::Duration { least, most } => {
            let cell = |bound| format!(" {}", code(&short(bound)));
            (cell(least), most.map(cell).unwrap_or_default())
        }
        Rule::Switch | Rule::Key | Rule::OwnFile { .. } => (String::new(), String::new()),
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
