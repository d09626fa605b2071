//! The values of a service's properties that are in force, and how they come to be. Pure.
//!
//! Source: spec: microbus-wire 8.1. Order, weak to strong: default, files, configurator. A bad value in the files refuses
//! the start; a bad value from the configurator must not become a crash loop of the fleet: the default serves at start,
//! the old value at run time, and it is reported each time. What the configurator can only narrow is then what both the
//! files and the old value allow.

use crate::minting::{MintPolicy, Minters};
use crate::property::{InvalidValue, Property, Value};
use microbus_token::SigningKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Valid values of all properties of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<&'static str, Value>,
}

/// Values by property name, as text; wiped when dropped, since keys are among them.
pub(crate) type Texts = BTreeMap<String, Zeroizing<String>>;

/// Valid values of the process's own files and environment, each as it may be shown; no text of a key is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnValues(BTreeMap<&'static str, (Value, String)>);

/// What came of reading all sources.
#[derive(Debug)]
pub(crate) struct Resolution {
    /// Values to put in force.
    pub settings: Settings,
    /// Properties whose value differs from the one in force before, with the new value as it may be shown.
    pub changed: Vec<(&'static str, String)>,
    /// Values from the configurator that were not used.
    pub refused: Vec<InvalidValue>,
}

impl Settings {
    /// Returns the value of a duration property; zero for a name that is not one, which tests rule out.
    #[must_use]
    pub fn duration(&self, name: &str) -> Duration {
        match self.values.get(name) {
            Some(Value::Duration(value)) => *value,
            _ => Duration::ZERO,
        }
    }

    /// Returns the value of a switch property; `false` for a name that is not one, which tests rule out.
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::Switch(true)))
    }

    /// Returns the value of a key property, `None` where no key is given.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<Arc<SigningKey>> {
        match self.values.get(name) {
            Some(Value::Key(value)) => value.clone(),
            _ => None,
        }
    }

    /// Returns the value of a count property; zero for a name that is not one, which tests rule out.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        match self.values.get(name) {
            Some(Value::Count(value)) => *value,
            _ => 0,
        }
    }

    /// Returns the value of a choice, words or path property; empty for a name that is none, which tests rule out.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(Value::Text(value)) => value,
            _ => "",
        }
    }

    /// Returns the hosts that may mint.
    #[must_use]
    pub fn minters(&self, name: &str) -> Minters {
        match self.values.get(name) {
            Some(Value::Minters(value)) => value.clone(),
            _ => Minters::default(),
        }
    }

    /// Returns what callers may mint.
    #[must_use]
    pub fn mint_policy(&self, name: &str) -> MintPolicy {
        match self.values.get(name) {
            Some(Value::MintPolicy(value)) => value.clone(),
            _ => MintPolicy::default(),
        }
    }

    /// Returns the path of a file property, `None` where no file is named.
    #[must_use]
    pub fn own_file(&self, name: &str) -> Option<&str> {
        match self.values.get(name) {
            Some(Value::OwnFile(path)) if !path.is_empty() => Some(path),
            _ => None,
        }
    }
}

/// Returns the defaults of `properties`, as they serve where nobody says otherwise.
///
/// # Errors
/// When a default breaks its own rule: a fault of ours.
pub fn default_settings(properties: &[Property]) -> Result<Settings, InvalidValue> {
    Ok(resolve(properties, &OwnValues::default(), &Texts::new(), None)?.settings)
}

/// Returns `weak` overridden by `strong`.
pub(crate) fn layered(weak: &Texts, strong: Texts) -> Texts {
    let mut layered = weak.clone();
    layered.extend(strong);
    layered
}

/// Judges what the files say, before anything is put in force: what is valid, and every value that its property's rule
/// refuses.
pub(crate) fn judge_files(
    properties: &[Property],
    files: &Texts,
) -> (OwnValues, Vec<InvalidValue>) {
    let mut own = OwnValues::default();
    let mut invalid = Vec::new();
    for property in properties {
        let Some(text) = files.get(property.name) else {
            continue;
        };
        match property.parse(text) {
            Ok(value) => {
                own.0.insert(property.name, (value, property.show(text)));
            }
            Err(error) => invalid.push(error),
        }
    }
    (own, invalid)
}

/// Resolves all properties from what our own `files` say and whatever the configurator says.
///
/// `before` is what is in force; `None` at start.
///
/// # Errors
/// When a default breaks its own rule: a fault of ours.
pub(crate) fn resolve(
    properties: &[Property],
    files: &OwnValues,
    configurator: &Texts,
    before: Option<&Settings>,
) -> Result<Resolution, InvalidValue> {
    let mut resolution = Resolution {
        settings: Settings::default(),
        changed: Vec::new(),
        refused: Vec::new(),
    };
    for property in properties {
        let default = property.parse(property.default)?;
        let old = before.and_then(|settings| settings.values.get(property.name));
        let told = configurator.get(property.name);
        let forbidden = told.and_then(|text| property.refuse_from_configurator(text));
        let told = told.filter(|_| forbidden.is_none());
        resolution.refused.extend(forbidden);
        let own = files.0.get(property.name).cloned();
        let own = own.unwrap_or_else(|| (default.clone(), property.show(property.default)));
        let (value, shown) = match told {
            Some(text) => match property.parse(text) {
                Ok(value) if property.is_narrowed() => {
                    (own.0.narrowed_by(&value), property.show(text))
                }
                Ok(value) => (value, property.show(text)),
                // What our own files forbid since is forbidden, whatever the configurator last said.
                Err(invalid) if property.is_narrowed() => {
                    resolution.refused.push(invalid);
                    match old {
                        Some(old) => (own.0.narrowed_by(old), own.1),
                        None => own,
                    }
                }
                Err(invalid) => {
                    resolution.refused.push(invalid);
                    match old {
                        Some(old) => (old.clone(), String::new()),
                        None => (default.clone(), property.show(property.default)),
                    }
                }
            },
            None => own,
        };
        if *old.unwrap_or(&default) != value {
            resolution.changed.push((property.name, shown));
        }
        resolution.settings.values.insert(property.name, value);
    }
    Ok(resolution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::Rule;

    const PROPERTIES: &[Property] = &[Property {
        name: "Interval",
        rule: Rule::Duration {
            least: Duration::from_secs(10),
            most: None,
        },
        default: "20s",
        effect: "",
    }];

    fn texts(value: &str) -> Texts {
        [("Interval".to_owned(), value.to_owned().into())].into()
    }

    fn files(value: &str) -> OwnValues {
        judge_files(PROPERTIES, &texts(value)).0
    }

    fn seconds(resolution: &Resolution) -> u64 {
        resolution.settings.duration("Interval").as_secs()
    }

    #[test]
    fn the_configurator_overrides_files_and_files_override_the_default() {
        let none = Texts::new();
        for (files, configurator, expected) in [
            (OwnValues::default(), &none, 20),
            (files("30s"), &none, 30),
            (OwnValues::default(), &texts("40s"), 40),
            (files("30s"), &texts("40s"), 40),
        ] {
            let resolution = resolve(PROPERTIES, &files, configurator, None).unwrap();
            assert_eq!(seconds(&resolution), expected);
            assert_eq!(resolution.changed.is_empty(), expected == 20);
        }
    }

    #[test]
    fn a_bad_value_from_the_configurator_is_the_default_at_start_and_the_old_value_later() {
        let none = OwnValues::default();
        let start = resolve(PROPERTIES, &files("30s"), &texts("1s"), None).unwrap();
        assert_eq!((seconds(&start), start.refused.len()), (20, 1));
        let good = resolve(PROPERTIES, &none, &texts("50s"), Some(&start.settings)).unwrap();
        assert_eq!(good.changed, [("Interval", "50s".to_owned())]);
        let later = resolve(PROPERTIES, &none, &texts("1s"), Some(&good.settings)).unwrap();
        assert_eq!(
            (seconds(&later), later.refused.len(), later.changed.len()),
            (50, 1, 0)
        );
    }

    #[test]
    fn a_value_that_the_configurator_no_longer_has_falls_back() {
        let none = OwnValues::default();
        let set = resolve(PROPERTIES, &none, &texts("50s"), None).unwrap();
        let unset = resolve(PROPERTIES, &none, &Texts::new(), Some(&set.settings)).unwrap();
        assert_eq!(seconds(&unset), 20);
        assert_eq!(unset.changed.len(), 1);
    }

    #[test]
    fn bad_values_in_files_are_all_reported() {
        assert!(judge_files(PROPERTIES, &texts("10s")).1.is_empty());
        let (_, invalid) = judge_files(PROPERTIES, &texts("9s"));
        assert_eq!(
            invalid[0].to_string(),
            "Interval is 9s; the least allowed is 10s"
        );
    }

    #[test]
    fn while_the_configurator_is_wrong_our_own_files_can_still_narrow() {
        const NARROWED: &[Property] = &[
            Property {
                name: "Minters",
                rule: Rule::Minters,
                default: "",
                effect: "",
            },
            Property {
                name: "MintPolicy",
                rule: Rule::MintPolicy,
                default: "",
                effect: "",
            },
        ];
        let texts = |minters: &str, policy: &str| -> Texts {
            [("Minters", minters), ("MintPolicy", policy)]
                .map(|(name, text)| (name.to_owned(), text.to_owned().into()))
                .into()
        };
        let resolve = |files: &Texts, told: &Texts, before: Option<&Settings>| {
            let (files, _) = judge_files(NARROWED, files);
            resolve(NARROWED, &files, told, before).unwrap()
        };
        let wrong = texts("?", "?");
        let start = resolve(
            &texts("a.core b.core c.core", "a.core: x"),
            &texts("a.core b.core", ""),
            None,
        );
        let tightened = texts("b.core c.core", "a.core: x\nb.core: y");
        let later = resolve(&tightened, &wrong, Some(&start.settings));
        let minters = later.settings.minters("Minters");
        let admitted = ["a.core", "b.core", "c.core"].map(|host| minters.admits(host));
        assert_eq!(admitted, [false, true, false]);
        assert_eq!(
            later.settings.mint_policy("MintPolicy"),
            MintPolicy::parse("a.core: x\nb.core: y").unwrap()
        );
        assert_eq!((later.changed.len(), later.refused.len()), (2, 2));
        let again = resolve(&tightened, &wrong, Some(&later.settings));
        assert_eq!(again.changed, []);
    }

    #[test]
    fn of_a_key_in_a_file_no_text_is_kept() {
        const KEY: &[Property] = &[Property {
            name: "Interval",
            rule: Rule::Key,
            default: "",
            effect: "",
        }];
        let text = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
        let (own, _) = judge_files(KEY, &texts(text));
        let kept = format!("{own:?}");
        assert!(
            kept.contains("SigningKey(NHUPmL1Z_Pw)") && !kept.contains("MC4C"),
            "{kept}"
        );
    }

    #[test]
    fn a_path_is_taken_from_our_own_files_and_never_from_the_configurator() {
        const FILE: &[Property] = &[Property {
            name: "Interval",
            rule: Rule::OwnFile {
                variable: "",
                credential: "",
            },
            default: "",
            effect: "",
        }];
        let (own, _) = judge_files(FILE, &texts("/own"));
        let resolution = resolve(FILE, &own, &texts("/etc/shadow"), None).unwrap();
        assert_eq!(resolution.settings.own_file("Interval"), Some("/own"));
        assert_eq!(
            resolution.refused[0].to_string(),
            "Interval is /etc/shadow; the configurator may not set it, only this process's own files and environment may"
        );
    }
}
