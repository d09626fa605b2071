//! Where the keys come from: the text of a property, or a file. A file counts more, for its key need not cross the bus.

use crate::config::{ALT_PRIVATE_KEY, ALT_PRIVATE_KEY_FILE, PRIVATE_KEY, PRIVATE_KEY_FILE};
use crate::key_file::{KeyFile, KeyFileFault, Secrecy, Sight};
use crate::keys::Desired;
use microbus_service::Settings;
use microbus_token::SigningKey;
use std::sync::Arc;

/// The sources of both keys, as they were when they were looked at last.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    primary: Source,
    alternate: Source,
}

/// The sources of one key.
#[derive(Debug, Default)]
struct Source {
    text: Option<Arc<SigningKey>>,
    file: Option<KeyFile>,
}

impl Sources {
    /// Returns the sources that `settings` name; of files that `self` reads already, what was read stays.
    ///
    /// # Errors
    /// Every file that is named for the first time and cannot be used.
    pub(crate) fn renewed(
        &self,
        settings: &Settings,
        secrecy: Secrecy,
    ) -> Result<Self, Vec<KeyFileFault>> {
        let primary = self
            .primary
            .renewed(settings, PRIVATE_KEY, PRIVATE_KEY_FILE, secrecy);
        let alternate =
            self.alternate
                .renewed(settings, ALT_PRIVATE_KEY, ALT_PRIVATE_KEY_FILE, secrecy);
        match (primary, alternate) {
            (Ok(primary), Ok(alternate)) => Ok(Self { primary, alternate }),
            (primary, alternate) => Err([primary.err(), alternate.err()]
                .into_iter()
                .flatten()
                .collect()),
        }
    }

    /// Looks at the files again and tells whether a key changed.
    ///
    /// Files are taken together: none while any is being replaced, and no key while another file is bad, so that half of
    /// a rotation is never in force.
    pub(crate) fn look(&mut self) -> bool {
        let sights: Vec<_> = self.files_mut().map(KeyFile::look).collect();
        if !sights.iter().all(Sight::is_steady) {
            return false;
        }
        let held = sights.iter().any(Sight::is_bad);
        let mut changed = false;
        for (file, sight) in self.files_mut().zip(sights) {
            if !(held && sight.is_usable()) {
                changed |= file.settle(sight);
            }
        }
        changed
    }

    /// Returns the keys to put in force.
    #[must_use]
    pub(crate) fn desired(&self) -> Desired {
        Desired {
            primary: self.primary.key(),
            alternate: self.alternate.key(),
        }
    }

    /// Returns the properties that are not used because a file counts more, each with that file's property.
    #[must_use]
    pub(crate) fn overruled(&self) -> Vec<(&'static str, &'static str)> {
        [
            (&self.primary, PRIVATE_KEY, PRIVATE_KEY_FILE),
            (&self.alternate, ALT_PRIVATE_KEY, ALT_PRIVATE_KEY_FILE),
        ]
        .into_iter()
        .filter(|(source, ..)| source.text.is_some() && source.file_key().is_some())
        .map(|(_, text, file)| (text, file))
        .collect()
    }

    /// Tells whether any file is to be looked at again.
    #[must_use]
    pub(crate) fn has_files(&self) -> bool {
        self.primary.file.is_some() || self.alternate.file.is_some()
    }

    /// Returns how many files could not be used when they were looked at last.
    #[must_use]
    pub(crate) fn unusable(&self) -> u8 {
        [&self.primary, &self.alternate]
            .into_iter()
            .filter_map(|source| source.file.as_ref())
            .map(|file| u8::from(file.is_unusable()))
            .sum()
    }

    fn files_mut(&mut self) -> impl Iterator<Item = &mut KeyFile> {
        [&mut self.primary, &mut self.alternate]
            .into_iter()
            .filter_map(|source| source.file.as_mut())
    }
}

impl Source {
    fn renewed(
        &self,
        settings: &Settings,
        text: &str,
        file: &'static str,
        secrecy: Secrecy,
    ) -> Result<Self, KeyFileFault> {
        let file = match (settings.own_file(file), &self.file) {
            (None, _) => None,
            (Some(path), Some(known)) if known.is_at(path) => Some(known.clone()),
            (Some(path), _) => Some(KeyFile::open(file, path, secrecy)?),
        };
        let text = settings.key(text);
        Ok(Self { text, file })
    }

    fn key(&self) -> Option<Arc<SigningKey>> {
        self.file_key().or(self.text.as_ref()).cloned()
    }

    fn file_key(&self) -> Option<&Arc<SigningKey>> {
        self.file.as_ref()?.key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PROPERTIES;
    use microbus_service::{Property, default_settings};
    use tempfile::TempDir;

    const FIRST: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
    const SECOND: &str = "MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";
    const FIRST_ID: &str = "NHUPmL1Z_Pw";
    const SECOND_ID: &str = "ajgD1fBZkCo";

    fn settings(values: &[(&str, &str)]) -> Settings {
        let properties: Vec<_> = PROPERTIES
            .iter()
            .map(|property| {
                let value = values.iter().find(|(name, _)| *name == property.name);
                let default = value.map_or(property.default, |(_, text)| text.to_string().leak());
                Property {
                    default,
                    ..*property
                }
            })
            .collect();
        default_settings(&properties).unwrap()
    }

    fn file_with(content: &str) -> (TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, content).unwrap();
        (folder, path.to_str().unwrap().to_owned())
    }

    fn ids(sources: &Sources) -> (Option<String>, Option<String>) {
        let id = |key: Option<Arc<SigningKey>>| key.map(|key| key.id().to_string());
        let Desired { primary, alternate } = sources.desired();
        (id(primary), id(alternate))
    }

    fn read(values: &[(&str, &str)]) -> Sources {
        Sources::default()
            .renewed(&settings(values), Secrecy::Anybody)
            .unwrap()
    }

    #[test]
    fn keys_come_from_texts_and_files_and_a_file_counts_more() {
        let (_folder, path) = file_with(SECOND);
        assert_eq!(ids(&read(&[])), (None, None));
        let texts = read(&[(PRIVATE_KEY, FIRST), (ALT_PRIVATE_KEY, SECOND)]);
        assert_eq!(ids(&texts), (Some(FIRST_ID.into()), Some(SECOND_ID.into())));
        assert!(texts.overruled().is_empty() && !texts.has_files());
        let both = read(&[(PRIVATE_KEY, FIRST), (PRIVATE_KEY_FILE, &path)]);
        assert_eq!(ids(&both), (Some(SECOND_ID.into()), None));
        assert_eq!(both.overruled(), [(PRIVATE_KEY, PRIVATE_KEY_FILE)]);
        assert!(both.has_files());
    }

    #[test]
    fn an_empty_file_gives_no_key_and_leaves_the_text() {
        let (_folder, path) = file_with("");
        let sources = read(&[(ALT_PRIVATE_KEY, FIRST), (ALT_PRIVATE_KEY_FILE, &path)]);
        assert_eq!(ids(&sources), (None, Some(FIRST_ID.into())));
        assert!(sources.overruled().is_empty());
    }

    #[test]
    fn every_file_that_cannot_be_used_is_listed() {
        let named = settings(&[
            (PRIVATE_KEY_FILE, "/absent/one"),
            (ALT_PRIVATE_KEY_FILE, "/absent/two"),
        ]);
        let faults = Sources::default()
            .renewed(&named, Secrecy::Anybody)
            .unwrap_err();
        assert_eq!(faults.len(), 2);
        assert!(
            faults[1]
                .to_string()
                .starts_with("AltPrivateKeyFile /absent/two: ")
        );
    }

    #[test]
    fn a_file_that_vanished_is_no_obstacle_to_other_changes() {
        let (folder, path) = file_with(FIRST);
        let mut sources = read(&[(PRIVATE_KEY_FILE, &path)]);
        drop(folder);
        assert!(!sources.look() && !sources.look());
        assert_eq!(sources.unusable(), 1);
        let renewed = sources.renewed(
            &settings(&[(PRIVATE_KEY_FILE, &path), (ALT_PRIVATE_KEY, SECOND)]),
            Secrecy::Anybody,
        );
        let expected = (Some(FIRST_ID.into()), Some(SECOND_ID.into()));
        assert_eq!(ids(&renewed.unwrap()), expected);
    }

    #[test]
    fn files_that_are_replaced_one_after_the_other_are_taken_together() {
        let ((_one, primary), (_two, alternate)) = (file_with(FIRST), file_with(SECOND));
        let mut sources = read(&[
            (PRIVATE_KEY_FILE, &primary),
            (ALT_PRIVATE_KEY_FILE, &alternate),
        ]);
        let before = (Some(FIRST_ID.into()), Some(SECOND_ID.into()));
        std::fs::write(&alternate, FIRST).unwrap();
        assert!(!sources.look());
        std::fs::write(&primary, SECOND).unwrap();
        assert!(
            !sources.look(),
            "the alternate is steady, the primary is not"
        );
        assert_eq!(ids(&sources), before);
        assert!(sources.look());
        assert_eq!(ids(&sources), (before.1, before.0));
    }

    #[test]
    fn a_bad_file_holds_the_other_one_until_it_is_mended() {
        let ((_one, primary), (_two, alternate)) = (file_with(FIRST), file_with(""));
        let mut sources = read(&[
            (PRIVATE_KEY_FILE, &primary),
            (ALT_PRIVATE_KEY_FILE, &alternate),
        ]);
        std::fs::write(&alternate, FIRST).unwrap();
        std::fs::write(&primary, "planted").unwrap();
        assert!(!sources.look() && !sources.look());
        assert_eq!(
            (ids(&sources), sources.unusable()),
            ((Some(FIRST_ID.into()), None), 1)
        );
        std::fs::write(&primary, SECOND).unwrap();
        assert!(!sources.look() && sources.look());
        let expected = (Some(SECOND_ID.into()), Some(FIRST_ID.into()));
        assert_eq!((ids(&sources), sources.unusable()), (expected, 0));
    }

    #[test]
    fn a_file_that_vanished_does_not_keep_the_other_key_from_being_removed() {
        let ((gone, primary), (_two, alternate)) = (file_with(FIRST), file_with(SECOND));
        let mut sources = read(&[
            (PRIVATE_KEY_FILE, &primary),
            (ALT_PRIVATE_KEY_FILE, &alternate),
        ]);
        drop(gone);
        std::fs::write(&alternate, "").unwrap();
        assert!(!sources.look() && sources.look());
        assert_eq!(ids(&sources), (Some(FIRST_ID.into()), None));
    }

    #[test]
    fn a_file_that_is_no_longer_named_is_no_longer_a_source() {
        let (_folder, path) = file_with(FIRST);
        let sources = read(&[(PRIVATE_KEY_FILE, &path)]);
        let renewed = sources.renewed(&settings(&[]), Secrecy::Anybody).unwrap();
        assert_eq!(ids(&renewed), (None, None));
    }
}
