//! Configuration files: `config.yaml` and `config.local.yaml` from the root directory down to ours.
//!
//! Source: spec: microbus-wire 8.3. A file belongs to every service of its directory, so only our own section
//! is read strictly: duplicate and unknown names there are refused, elsewhere they are nobody's business here.

use crate::property::Property;
use crate::regular_file;
use crate::settings::Texts;
use crate::yaml;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What the files say about one service, and what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct FileValues {
    /// Values by property name; later files and narrower sections won.
    pub(crate) values: Texts,
    /// Everything wrong in our own section, one sentence each; non-empty means refuse to start.
    pub(crate) problems: Vec<String>,
    /// Files that could not be used and were skipped.
    pub(crate) skipped: Vec<Unusable>,
}

/// A file that could not be read or parsed; what it says is not quoted.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be used: {cause}; mend it")]
pub(crate) struct Unusable {
    pub(crate) path: PathBuf,
    pub(crate) cause: String,
}

/// Reads the files that apply to `hostname`, from the root directory down to `directory`.
///
/// Sections that apply, weak to strong: `all`, then each suffix of the hostname (`core`, `token.core`), then the
/// hostname itself. Scalars are taken as text. Names outside `properties` are a problem in the hostname's own section.
#[must_use]
pub(crate) fn read(directory: &Path, hostname: &str, properties: &[Property]) -> FileValues {
    let mut found = FileValues::default();
    let mut ancestors: Vec<&Path> = directory.ancestors().collect();
    ancestors.reverse();
    for ancestor in ancestors {
        for name in ["config.yaml", "config.local.yaml"] {
            let path = ancestor.join(name);
            match regular_file::read_text(&path) {
                Ok(text) => read_one(&path, &text, hostname, properties, &mut found),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // Silence would let defaults pass for what the operator wrote there.
                Err(error) => found.skipped.push(Unusable {
                    path,
                    cause: error.to_string(),
                }),
            }
        }
    }
    found
}

fn read_one(
    path: &Path,
    text: &str,
    hostname: &str,
    properties: &[Property],
    found: &mut FileValues,
) {
    let sections: Sections = match yaml::parse(text) {
        Ok(sections) => sections,
        Err(cause) => {
            let path = path.to_owned();
            found.skipped.push(Unusable { path, cause });
            return;
        }
    };
    let shown = path.display();
    if sections
        .0
        .iter()
        .filter(|(name, _)| name == hostname)
        .count()
        > 1
    {
        found.problems.push(format!(
            "{shown}: section '{hostname}' appears twice; keep one"
        ));
    }
    for section in sections_of(hostname) {
        for (_, body) in sections.0.iter().filter(|(name, _)| *name == section) {
            let Body::Members(members) = body else {
                if section == hostname {
                    found.problems.push(format!(
                        "{shown}: section '{hostname}' is not a map of names to values"
                    ));
                }
                continue;
            };
            let mut seen = Vec::new();
            for (name, value) in members {
                let known = properties.iter().any(|property| property.name == name);
                if section == hostname {
                    check_own_member(&shown, hostname, name, known, &seen, properties, found);
                    seen.push(name);
                }
                match value {
                    Some(text) if known => {
                        found.values.insert(name.clone(), text.clone());
                    }
                    None if known && section == hostname => found.problems.push(format!(
                        "{shown}: {hostname}: {name} is not a single value; write it as text"
                    )),
                    _ => {}
                }
            }
        }
    }
}

fn check_own_member(
    shown: &dyn fmt::Display,
    hostname: &str,
    name: &String,
    known: bool,
    seen: &[&String],
    properties: &[Property],
    found: &mut FileValues,
) {
    if seen.contains(&name) {
        found.problems.push(format!(
            "{shown}: {hostname}: {name} appears twice; keep one"
        ));
    }
    if !known {
        let names: Vec<_> = properties.iter().map(|property| property.name).collect();
        found.problems.push(format!(
            "{shown}: {hostname}: {name} is not a property of this service; it has {}",
            names.join(", ")
        ));
    }
}

/// The sections that apply to `hostname`, from weak to strong.
fn sections_of(hostname: &str) -> Vec<&str> {
    let mut sections = vec!["all"];
    let mut suffixes: Vec<&str> = hostname
        .match_indices('.')
        .filter_map(|(at, dot)| hostname.get(at.saturating_add(dot.len())..))
        .collect();
    suffixes.reverse();
    sections.extend(suffixes);
    sections.push(hostname);
    sections
}

/// Returns a scalar as the text that the Go services would see; `None` for lists, maps and null.
pub(crate) fn scalar_text(value: serde_yaml::Value) -> Option<String> {
    match value {
        serde_yaml::Value::String(text) => Some(text),
        serde_yaml::Value::Number(number) => Some(number.to_string()),
        serde_yaml::Value::Bool(truth) => Some(truth.to_string()),
        serde_yaml::Value::Null => Some(String::new()),
        serde_yaml::Value::Sequence(_)
        | serde_yaml::Value::Mapping(_)
        | serde_yaml::Value::Tagged(_) => None,
    }
}

/// The top level of a file, with duplicates kept so that they can be refused.
#[derive(Default)]
struct Sections(Vec<(String, Body)>);

enum Body {
    Members(Vec<(String, Option<Zeroizing<String>>)>),
    Other,
}

impl<'de> Deserialize<'de> for Sections {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(Pairs::<Body>(std::marker::PhantomData))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct Pairs<V>(std::marker::PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Pairs<V> {
    type Value = Vec<(String, V)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of sections")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of names to values")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Body, A::Error> {
        let pairs = Pairs::<serde_yaml::Value>(std::marker::PhantomData).visit_map(map)?;
        Ok(Body::Members(
            pairs
                .into_iter()
                .map(|(name, value)| (name, scalar_text(value).map(Zeroizing::new)))
                .collect(),
        ))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Body, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Body::Other)
    }

    fn visit_unit<E>(self) -> Result<Body, E> {
        Ok(Body::Members(Vec::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Body, E> {
        Ok(Body::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Body, E> {
        Ok(Body::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::Rule;

    const PROPERTIES: &[Property] = &[
        Property {
            name: "One",
            rule: Rule::Switch,
            default: "",
            effect: "",
        },
        Property {
            name: "Two",
            rule: Rule::Switch,
            default: "",
            effect: "",
        },
    ];

    fn read_text(text: &str) -> FileValues {
        let mut found = FileValues::default();
        read_one(
            Path::new("config.yaml"),
            text,
            "access.token.core",
            PROPERTIES,
            &mut found,
        );
        found
    }

    #[test]
    fn sections_apply_from_weak_to_strong() {
        assert_eq!(
            sections_of("access.token.core"),
            ["all", "core", "token.core", "access.token.core"]
        );
        let found = read_text(
            "access.token.core:\n  One: own\ntoken.core:\n  One: wide\n  Two: wide\nall:\n  Two: all\n",
        );
        assert_eq!(found.values["One"].as_str(), "own");
        assert_eq!(found.values["Two"].as_str(), "wide");
        assert!(found.problems.is_empty(), "{:?}", found.problems);
    }

    #[test]
    fn later_files_override_per_name() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let section = |one: &str| format!("access.token.core:\n  One: {one}\n");
        std::fs::write(root.path().join("config.yaml"), "all:\n  Two: far\n").unwrap();
        std::fs::write(root.path().join("config.local.yaml"), section("far")).unwrap();
        std::fs::write(inner.join("config.yaml"), section("near")).unwrap();
        let found = read(&inner, "access.token.core", PROPERTIES);
        assert_eq!(
            (found.values["One"].as_str(), found.values["Two"].as_str()),
            ("near", "far")
        );
    }

    #[test]
    fn scalars_are_taken_as_text() {
        let found = read_text("access.token.core:\n  One: 5\n  Two: true\n");
        assert_eq!(
            (found.values["One"].as_str(), found.values["Two"].as_str()),
            ("5", "true")
        );
    }

    #[test]
    fn duplicates_and_unknown_names_are_problems_in_our_own_section_only() {
        let own = read_text("access.token.core:\n  One: a\n  One: b\n  Tow: c\n");
        assert_eq!(own.problems.len(), 2, "{:?}", own.problems);
        assert!(own.problems[0].contains("One appears twice"));
        assert!(own.problems[1].contains("Tow is not a property"));
        let elsewhere = read_text("all:\n  Tow: c\n  Tow: d\nother.service:\n  One: x\n  One: y\n");
        assert!(elsewhere.problems.is_empty(), "{:?}", elsewhere.problems);
        let twice = read_text("access.token.core:\n  One: a\naccess.token.core:\n  Two: b\n");
        assert!(
            twice.problems[0].contains("appears twice"),
            "{:?}",
            twice.problems
        );
    }

    #[test]
    fn a_section_or_value_of_another_shape_is_a_problem() {
        assert!(read_text("access.token.core: text\n").problems[0].contains("is not a map"));
        assert!(
            read_text("access.token.core:\n  One: [a]\n").problems[0]
                .contains("not a single value")
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("config.yaml"), b"\xff").unwrap();
        std::fs::create_dir(root.path().join("config.local.yaml")).unwrap();
        let found = read(root.path(), "access.token.core", PROPERTIES);
        assert_eq!(found.skipped.len(), 2, "{:?}", found.skipped);
    }

    #[test]
    fn a_file_that_does_not_parse_is_skipped_without_quoting_it() {
        let found = read_text("access.token.core:\n  One: [planted-secret\n");
        assert_eq!(found.skipped.len(), 1);
        assert_eq!(
            found.skipped[0].to_string(),
            "config.yaml cannot be used: not valid YAML at line 3, column 1; mend it"
        );
    }
}
