//! Environment variables as the framework reads them: the operating system's, completed from `env.yaml` files.
//!
//! Source: spec: microbus-wire 8.5. Everything that reads a variable takes an [`Environment`], so that
//! tests pass a map and nothing but [`Environment::of_process`] touches the process.

use crate::regular_file;
use crate::yaml;
use std::collections::BTreeMap;
use std::path::Path;

/// Names and values of variables, secrets among them: its `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the variables of this process, completed from the env files around `directory`.
    ///
    /// `env.yaml` and `env.local.yaml` are looked up in `directory` and all its ancestors: the nearer directory
    /// wins, `.local` wins within a directory, and a variable of the operating system always wins. Files that
    /// cannot be read or parsed are ignored, as the Go services do.
    #[must_use]
    pub fn of_process(directory: &Path) -> Self {
        let process = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::layered(process, directory)
    }

    /// Completes `process` variables from the env files around `directory`.
    #[must_use]
    pub fn layered(process: impl IntoIterator<Item = (String, String)>, directory: &Path) -> Self {
        let mut values = BTreeMap::new();
        let mut ancestors: Vec<&Path> = directory.ancestors().collect();
        ancestors.reverse();
        for ancestor in ancestors {
            for name in ["env.yaml", "env.local.yaml"] {
                values.extend(read_flat(&ancestor.join(name)));
            }
        }
        values.extend(process);
        Self { values }
    }

    /// Returns the value of `name`, or `None` when it is unset or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Tells whether `name` is set to `1` or `true`, in any letter case.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
    }

    /// Tells whether `name` is set to `0` or `false`, in any letter case.
    #[must_use]
    pub fn is_off(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value == "0" || value.eq_ignore_ascii_case("false"))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self {
            values: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.values.keys()).finish()
    }
}

fn read_flat(path: &Path) -> BTreeMap<String, String> {
    let Ok(text) = regular_file::read_text(path) else {
        return BTreeMap::new();
    };
    let parsed: Result<BTreeMap<String, serde_yaml::Value>, _> = yaml::parse(&text);
    parsed
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, value)| Some((name, crate::files::scalar_text(value)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_file_wins_and_the_operating_system_wins_over_both() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(
            root.path().join("env.yaml"),
            "A: far\nB: far\nC: far\nD: far\n",
        )
        .unwrap();
        std::fs::write(inner.join("env.yaml"), "B: near\nC: near\nD: near\n").unwrap();
        std::fs::write(inner.join("env.local.yaml"), "C: local\nD: local\nN: 5\n").unwrap();
        let environment = Environment::layered([("D".to_owned(), "process".to_owned())], &inner);
        let seen: Vec<_> = ["A", "B", "C", "D", "N"]
            .map(|name| environment.get(name))
            .into();
        assert_eq!(
            seen,
            [
                Some("far"),
                Some("near"),
                Some("local"),
                Some("process"),
                Some("5")
            ]
        );
    }

    #[test]
    fn a_broken_file_is_ignored_and_an_empty_value_is_unset() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("env.yaml"), "A: [1\n").unwrap();
        let environment = Environment::layered([("E".to_owned(), String::new())], root.path());
        assert_eq!((environment.get("A"), environment.get("E")), (None, None));
    }

    #[test]
    fn debug_shows_names_only() {
        let environment: Environment = [("MICROBUS_NATS_TOKEN", "planted")].into_iter().collect();
        let shown = format!("{environment:?}");
        assert!(
            shown.contains("MICROBUS_NATS_TOKEN") && !shown.contains("planted"),
            "{shown}"
        );
    }
}
