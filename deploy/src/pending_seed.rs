//! The seed of a key on its way into use.

use crate::failure::Failure;
use crate::files;
use microbus_deploy::{Nkey, NkeyKind};
use std::path::{Path, PathBuf};

/// A new account key, kept beside the file that is meant for it until it is in use.
///
/// A run that was interrupted is taken up by the next one with the same key: no account lists a key that nobody has, and none
/// lists two where one was wanted.
#[derive(Debug)]
pub(crate) struct PendingSeed {
    path: PathBuf,
    pending: PathBuf,
    key: Nkey,
}

impl PendingSeed {
    /// Makes a key for the file `path`, or takes up that of a run that was interrupted.
    ///
    /// # Errors
    /// [`Failure`] when something is at `path` already, or nothing can be written there.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        files::refuse_if_there(path)?;
        // Still ends in .nk, which repositories ignore.
        let pending = path.with_extension("pending.nk");
        let key = if pending.exists() {
            files::read_seed(&pending, NkeyKind::Account)?
        } else {
            let key = files::new_key(NkeyKind::Account)?;
            files::write_new_seed(&pending, &key)?;
            key
        };
        Ok(Self {
            path: path.to_owned(),
            pending,
            key,
        })
    }

    /// Returns the key.
    pub(crate) fn key(&self) -> &Nkey {
        &self.key
    }

    /// Gives the seed its name: the key is in use.
    ///
    /// # Errors
    /// [`Failure`] when something is there meanwhile.
    pub(crate) fn settle(&self) -> Result<(), Failure> {
        files::rename_new(&self.pending, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_run_is_taken_up_with_the_same_key_and_a_finished_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account-sk2.nk");
        let first = PendingSeed::open(&path).unwrap().key().public_key();
        assert!(!path.exists());
        let again = PendingSeed::open(&path).unwrap();
        assert_eq!(again.key().public_key(), first);
        again.settle().unwrap();
        let settled = files::read_seed(&path, NkeyKind::Account).unwrap();
        assert_eq!(settled.public_key(), first);
        assert!(PendingSeed::open(&path).is_err(), "it is never overwritten");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
