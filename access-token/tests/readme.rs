//! What the README says of the properties is what is declared.

use access_token::PROPERTIES;
use microbus_service::Rule;
use microbus_wire::duration;
use std::time::Duration;

/// Duration text as the README writes it: without the zero units that Go prints.
fn short(bound: Duration) -> String {
    duration::format(bound)
        .trim_end_matches("0s")
        .trim_end_matches("0m")
        .to_owned()
}

#[test]
fn every_property_stands_in_its_table_with_default_bounds_and_effect() {
    let readme = include_str!("../../README.md");
    for property in PROPERTIES {
        let (least, most) = match property.rule {
            Rule::Duration { least, most } => {
                let code = |bound| format!(" `{}`", short(bound));
                (code(least), most.map(code).unwrap_or_default())
            }
            _ => (String::new(), String::new()),
        };
        let (name, default, effect) = (property.name, property.default, property.effect);
        let row = format!("| `{name}` | `{default}` |{least} |{most} | {effect} |");
        assert!(readme.contains(&row), "README.md lacks the row\n{row}");
    }
}
