//! Where the files of a service are that no configurator may name: by a variable, or by systemd's credentials.
//!
//! What the configuration files say counts more than either.

use crate::environment::Environment;
use crate::property::{Property, Rule};
use crate::settings::Texts;
use std::path::Path;

/// Returns the paths that the environment gives to the [`Rule::OwnFile`] properties among `properties`.
///
/// A variable counts more than a credential (`$CREDENTIALS_DIRECTORY`, systemd.exec(5)), which counts only if it is there.
#[must_use]
pub(crate) fn paths(properties: &[Property], environment: &Environment) -> Texts {
    properties
        .iter()
        .filter_map(|property| {
            let Rule::OwnFile {
                variable,
                credential,
            } = property.rule
            else {
                return None;
            };
            let path = environment
                .get(variable)
                .map(str::to_owned)
                .or_else(|| credential_path(environment, credential))?;
            Some((property.name.to_owned(), path.into()))
        })
        .collect()
}

fn credential_path(environment: &Environment, name: &str) -> Option<String> {
    let path = Path::new(environment.get("CREDENTIALS_DIRECTORY")?).join(name);
    // One that cannot be looked at is there: reading it will say what is wrong.
    let is_there = path.try_exists().unwrap_or(true);
    is_there.then(|| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPERTIES: &[Property] = &[
        Property {
            name: "PrivateKeyFile",
            rule: Rule::OwnFile {
                variable: "MICROBUS_PRIVATE_KEY_FILE",
                credential: "PrivateKey",
            },
            default: "",
            effect: "",
        },
        Property {
            name: "AltPrivateKeyFile",
            rule: Rule::OwnFile {
                variable: "MICROBUS_ALT_PRIVATE_KEY_FILE",
                credential: "AltPrivateKey",
            },
            default: "",
            effect: "",
        },
    ];

    #[test]
    fn a_variable_counts_more_than_a_credential_and_an_absent_credential_is_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("PrivateKey"), "").unwrap();
        let directory = ("CREDENTIALS_DIRECTORY", folder.path().to_str().unwrap());
        let credentials = paths(PROPERTIES, &[directory].into_iter().collect());
        let expected = folder.path().join("PrivateKey");
        assert_eq!(
            credentials["PrivateKeyFile"].as_str(),
            expected.to_str().unwrap()
        );
        assert_eq!(credentials.len(), 1);
        let named = ("MICROBUS_PRIVATE_KEY_FILE", "/elsewhere");
        let both = paths(PROPERTIES, &[directory, named].into_iter().collect());
        assert_eq!(both["PrivateKeyFile"].as_str(), "/elsewhere");
        assert!(paths(PROPERTIES, &Environment::default()).is_empty());
    }
}
