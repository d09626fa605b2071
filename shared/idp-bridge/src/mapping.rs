//! From a provider's claims to ours, by declaration. Pure.
//!
//! Nothing passes unless a rule names it, and under no name but one that the rule gives or that is safe.

use crate::name::{is_reserved, is_safe_name};
use crate::yaml::{TextOrList, TextOrPairs, pairs};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Rules by the name of the claim that they make.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Mapping {
    rules: BTreeMap<String, Rule>,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    /// The same for everybody.
    Constant(Value),
    /// Made of what lies at `from`.
    From {
        from: Vec<String>,
        required: bool,
        make: Make,
    },
}

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq)]
enum Make {
    /// It stays as it is, but for unsafe names inside, and these.
    Same { drop: Vec<String> },
    /// A text with something before it; anything else is dropped.
    Prefixed(String),
    /// A list of role names, out of a list of texts or a text with blanks between.
    Roles { roles: Roles, prefix: String },
    /// An object with only these members.
    Members(Mapping),
}

#[derive(Debug, Clone, PartialEq)]
enum Roles {
    /// Each that is a safe name.
    Safe,
    /// Ours by theirs; others are dropped.
    Table(BTreeMap<String, String>),
}

/// A claim without which nothing can be made of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token has nothing for the claim `{0}`, which is required")]
pub struct RequiredClaimMissing(pub String);

impl Mapping {
    /// Makes our claims out of a provider's.
    ///
    /// # Errors
    /// [`RequiredClaimMissing`].
    pub(crate) fn apply(
        &self,
        foreign: &Map<String, Value>,
    ) -> Result<Map<String, Value>, RequiredClaimMissing> {
        let mut claims = Map::new();
        for (name, rule) in &self.rules {
            let value = match rule {
                Rule::Constant(value) => Some(value.clone()),
                Rule::From {
                    from,
                    required,
                    make,
                } => {
                    let made = match walk(foreign, from) {
                        Some(value) => make.of(value)?,
                        None => None,
                    };
                    if made.is_none() && *required {
                        return Err(RequiredClaimMissing(name.clone()));
                    }
                    made
                }
            };
            if let Some(value) = value {
                claims.insert(name.clone(), value);
            }
        }
        Ok(claims)
    }

    /// Reads rules; problems are added to the list, each with its place.
    pub(crate) fn check(raw: RawMapping, place: &str, problems: &mut Vec<String>) -> Self {
        let mut rules = BTreeMap::new();
        for (name, raw) in raw.0 {
            let place = format!("{place}.{name}");
            if is_reserved(&name) {
                problems.push(format!(
                    "{place}: only the platform sets `{name}`; choose another name"
                ));
            } else if !is_safe_name(&name) {
                problems.push(format!(
                    "{place}: not a safe name; begin with a letter or _, go on with letters, digits and _, and avoid \
                     literals such as `true`"
                ));
            }
            let rule = check_rule(raw.unwrap_or_default(), &name, &place, problems);
            rules.insert(name, rule);
        }
        Self { rules }
    }
}

impl Make {
    fn of(&self, value: &Value) -> Result<Option<Value>, RequiredClaimMissing> {
        Ok(match self {
            Self::Same { drop } => safe(value, drop),
            Self::Prefixed(prefix) => value.as_str().map(|text| format!("{prefix}{text}").into()),
            Self::Roles { roles, prefix } => roles_of(value, roles, prefix),
            Self::Members(mapping) => match value {
                Value::Object(object) => Some(Value::Object(mapping.apply(object)?)),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => None,
            },
        })
    }
}

/// Returns what lies at a path of member names.
fn walk<'v>(claims: &'v Map<String, Value>, path: &[String]) -> Option<&'v Value> {
    let (last, objects) = path.split_last()?;
    objects
        .iter()
        .try_fold(claims, |object, name| object.get(name)?.as_object())?
        .get(last)
}

/// Returns a value without nulls, without members whose names are unsafe, reserved or to be dropped, and without texts in
/// lists that are no safe names: an expression takes these for names too, as in `roles.admin`.
fn safe(value: &Value, drop: &[String]) -> Option<Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        Value::Array(list) => {
            let unsafe_text = |each: &Value| each.as_str().is_some_and(|text| !is_safe_name(text));
            list.iter()
                .filter(|each| !unsafe_text(each))
                .filter_map(|each| safe(each, drop))
                .collect()
        }
        Value::Object(object) => object
            .iter()
            .filter(|(name, _)| is_safe_name(name) && !is_reserved(name) && !drop.contains(name))
            .filter_map(|(name, value)| Some((name.clone(), safe(value, drop)?)))
            .collect::<Map<_, _>>()
            .into(),
    })
}

fn roles_of(value: &Value, roles: &Roles, prefix: &str) -> Option<Value> {
    let given: Vec<&str> = match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        // As in `scope` (RFC 6749 section 3.3).
        Value::String(text) => text.split(' ').filter(|word| !word.is_empty()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let mut ours: Vec<String> = Vec::new();
    for theirs in given {
        let name = match roles {
            Roles::Safe => Some(theirs),
            Roles::Table(table) => table.get(theirs).map(String::as_str),
        };
        let role = name.map(|name| format!("{prefix}{name}"));
        ours.extend(role.filter(|role| is_safe_name(role) && !ours.contains(role)));
    }
    Some(ours.into())
}

/// Rules as they are written; a rule may be empty, which takes over the claim of the same name.
#[derive(Debug, Default)]
pub(crate) struct RawMapping(Vec<(String, Option<RawRule>)>);

impl<'de> Deserialize<'de> for RawMapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pairs(deserializer).map(Self)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    from: Option<TextOrList>,
    constant: Option<Value>,
    prefix: Option<String>,
    roles: Option<TextOrPairs>,
    members: Option<RawMapping>,
    drop: Option<Vec<String>>,
    #[serde(default)]
    required: bool,
}

fn check_rule(raw: RawRule, name: &str, place: &str, problems: &mut Vec<String>) -> Rule {
    let mut problem = |text: &str| problems.push(format!("{place}: {text}"));
    if let Some(constant) = raw.constant {
        let alone = raw.from.is_none()
            && raw.prefix.is_none()
            && raw.roles.is_none()
            && raw.members.is_none()
            && raw.drop.is_none()
            && !raw.required;
        if !alone {
            problem("a constant needs nothing beside it");
        }
        if safe(&constant, &[]).as_ref() != Some(&constant) {
            problem(
                "the constant has a null, an unsafe name, or a text in a list that is no safe name",
            );
        }
        return Rule::Constant(constant);
    }
    let from = match raw.from {
        None => vec![name.to_owned()],
        Some(TextOrList::Text(name)) => vec![name],
        Some(TextOrList::List(path)) => path,
    };
    if from.is_empty() {
        problem("`from` is empty; write a claim's name, or a list of names that leads to it");
    }
    let make = match (raw.roles, raw.members, raw.drop, raw.prefix) {
        (Some(roles), None, None, prefix) => {
            let prefix = prefix.unwrap_or_default();
            Make::Roles {
                roles: check_roles(roles, &prefix, &mut problem),
                prefix,
            }
        }
        (None, Some(members), None, None) => Make::Members(Mapping::check(
            members,
            &format!("{place}.members"),
            problems,
        )),
        (None, None, drop, None) => Make::Same {
            drop: drop.unwrap_or_default(),
        },
        (None, None, None, Some(prefix)) => Make::Prefixed(prefix),
        (_, _, _, prefix) => {
            problem(
                "`roles`, `members`, `drop` and `prefix` exclude one another, but for a prefix of roles",
            );
            Make::Prefixed(prefix.unwrap_or_default())
        }
    };
    Rule::From {
        from,
        required: raw.required,
        make,
    }
}

fn check_roles(raw: TextOrPairs, prefix: &str, problem: &mut impl FnMut(&str)) -> Roles {
    match raw {
        TextOrPairs::Text(word) => {
            if word != "safe" {
                problem("`roles` is a table from their names to ours, or the word `safe`");
            }
            if !is_safe_name(&format!("{prefix}x")) {
                problem("no role is a safe name with this prefix");
            }
            Roles::Safe
        }
        TextOrPairs::Pairs(table) => {
            for (_, ours) in &table {
                if !is_safe_name(&format!("{prefix}{ours}")) {
                    problem(&format!("the role `{prefix}{ours}` is no safe name"));
                }
            }
            Roles::Table(table.into_iter().collect())
        }
    }
}

#[cfg(test)]
mod tests;
