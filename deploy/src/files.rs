//! Files of an operator: seeds and credentials that nobody else may read, written whole or not at all.

use crate::exit::Exit;
use crate::failure::Failure;
use microbus_deploy::bootstrap::{KeptFile, Mode};
use microbus_deploy::{Nkey, NkeyKind};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Makes `directory`, which must not be there or be empty, with `files` in it. Others may not look into it.
///
/// # Errors
/// [`Failure`] when there is something in it already, or it cannot be written.
pub(crate) fn write_new_directory(directory: &Path, files: &[KeptFile]) -> Result<(), Failure> {
    make_private_directory(directory)?;
    let mut entries =
        fs::read_dir(directory).map_err(|error| unwritable(directory, "reading", &error))?;
    if entries.next().is_some() {
        return Err(Failure::new(
            Exit::Finding,
            format!(
                "{} is not empty; keys are never overwritten, name a new directory",
                directory.display()
            ),
        ));
    }
    let private = Permissions::from_mode(0o700);
    fs::set_permissions(directory, private)
        .map_err(|error| unwritable(directory, "closing", &error))?;
    for file in files {
        let path = directory.join(&file.name);
        if let Some(parent) = path.parent() {
            make_private_directory(parent)?;
        }
        write_whole(&path, file.content.as_bytes(), file.mode)?;
    }
    Ok(())
}

/// Makes `directory` if it is not there, closed to others.
///
/// # Errors
/// [`Failure`] when it cannot be made.
pub(crate) fn make_private_directory(directory: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| unwritable(directory, "making", &error))
}

/// Replaces the file at `path`, or makes it: readers see the old content or the new one, after a power failure too.
///
/// # Errors
/// [`Failure`] when it cannot be written, or when something else than a file is there: a symbolic link would say where
/// a secret goes.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: Mode) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => {
            return Err(Failure::new(
                Exit::Finding,
                format!(
                    "{} is no plain file; a secret is not written through a link, remove it first",
                    path.display()
                ),
            ));
        }
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(unwritable(path, "looking at", &error));
        }
        Ok(_) | Err(_) => {}
    }
    let write = || {
        let directory = path
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty());
        let directory = directory.unwrap_or_else(|| Path::new("."));
        // Made with mode 0600 under a name that was free.
        let mut draft = tempfile::NamedTempFile::new_in(directory)?;
        draft.write_all(content)?;
        draft
            .as_file()
            .set_permissions(Permissions::from_mode(mode.bits()))?;
        draft.as_file().sync_all()?;
        draft.persist(path)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error: std::io::Error| unwritable(path, "writing", &error))
}

/// Writes the seed of a new key to a file of mode 0600, which must not be there.
///
/// # Errors
/// [`Failure`] when something is there already, or it cannot be written.
pub(crate) fn write_new_seed(path: &Path, key: &Nkey) -> Result<(), Failure> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(Failure::new(
            Exit::Finding,
            format!(
                "{} is there already; keys are never overwritten, name another file",
                path.display()
            ),
        ));
    }
    let seed = key
        .expose_seed()
        .map_err(|error| Failure::caused(Exit::Internal, "taking the seed", &error))?;
    write_whole(path, seed.as_bytes(), Mode::Secret)
}

/// Reads a file that is given on the command line, or standard input where `path` is `-`.
///
/// # Errors
/// [`Failure`] when it cannot be read as text.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| {
        let reading = format!("reading {}", path.display());
        Failure::caused(Exit::Configuration, reading, &error)
    })?;
    Ok(text)
}

/// Reads the seed of a key of `kind` from a file that nobody else may read, or from standard input.
///
/// # Errors
/// [`Failure`] when others may read it, or it is no such seed.
pub(crate) fn read_seed(path: &Path, kind: NkeyKind) -> Result<Nkey, Failure> {
    refuse_if_open(path)?;
    let seed = read_text(path)?;
    Nkey::from_seed(kind, &seed).map_err(|error| {
        let reading = format!("the seed in {}", path.display());
        Failure::caused(Exit::Configuration, reading, &error)
    })
}

/// Returns the permission bits for group and others of the file at `path`, 0 for standard input.
fn refuse_if_open(path: &Path) -> Result<(), Failure> {
    if path == Path::new("-") {
        return Ok(());
    }
    // A link is followed: that is how an orchestrator mounts secrets.
    let mode = fs::metadata(path).map(|there| there.permissions().mode() & 0o777);
    match mode {
        Ok(mode) if mode & 0o077 != 0 => Err(Failure::new(
            Exit::Finding,
            format!(
                "{} has mode {mode:04o} and others may have read the seed in it; \
                 rotate the key, or type chmod 600 if you know that nobody has",
                path.display()
            ),
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Returns 32 bytes from the operating system's generator.
///
/// # Errors
/// [`Failure`] when it has none, as early in the start of a machine.
pub(crate) fn random_seed() -> Result<[u8; 32], Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| Failure::caused(Exit::Internal, "asking for random bytes", &error))?;
    Ok(seed)
}

/// Returns the absolute form of `path`, which need not be there.
///
/// # Errors
/// [`Failure`] when the working directory is gone, or the path is not text.
pub(crate) fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute: PathBuf = std::path::absolute(path)
        .map_err(|error| unwritable(path, "finding the place of", &error))?;
    absolute
        .into_os_string()
        .into_string()
        .map_err(|_| Failure::new(Exit::Usage, "a path is not UTF-8; rename it"))
}

fn unwritable(path: &Path, doing: &str, error: &std::io::Error) -> Failure {
    Failure::caused(Exit::Internal, format!("{doing} {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_replaced_file_has_the_mode_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.creds");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        write_whole(&path, b"new", Mode::Secret).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(mode_of(&path), 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_is_not_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "theirs").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let refused = write_whole(&link, b"seed", Mode::Secret).unwrap_err();
        assert_eq!(refused.exit(), Exit::Finding);
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
    }

    #[test]
    fn a_seed_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.nk");
        let key = Nkey::from_random(NkeyKind::Account, [1; 32]).unwrap();
        fs::write(&path, key.expose_seed().unwrap().as_bytes()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let refused = read_seed(&path, NkeyKind::Account).unwrap_err();
        assert_eq!(refused.exit(), Exit::Finding);
        assert!(refused.to_string().contains("0640"), "{refused}");
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        let read = read_seed(&path, NkeyKind::Account).unwrap();
        assert_eq!(read.public_key(), key.public_key());
    }

    #[test]
    fn a_seed_of_another_kind_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.nk");
        let key = Nkey::from_random(NkeyKind::Operator, [1; 32]).unwrap();
        let seed = key.expose_seed().unwrap();
        write_whole(&path, seed.as_bytes(), Mode::Secret).unwrap();
        let refused = read_seed(&path, NkeyKind::Account).unwrap_err();
        assert_eq!(refused.exit(), Exit::Configuration);
        assert!(!refused.to_string().contains(seed.as_str()), "{refused}");
    }
}
