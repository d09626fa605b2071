//! Files of an operator: seeds and credentials that nobody else may read, written whole or not at all.

use crate::exit::Exit;
use crate::failure::Failure;
use microbus_deploy::bootstrap::{KeptFile, Mode};
use microbus_deploy::{Credentials, Jwt, Nkey, NkeyKind};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
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
    if directory.is_dir() {
        return Ok(());
    }
    let make = || {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        File::open(above(directory))?.sync_all()
    };
    make().map_err(|error| unwritable(directory, "making", &error))
}

/// Replaces the file at `path`, or makes it: readers see the old content or the new one, after a power failure too.
///
/// # Errors
/// [`Failure`] when it cannot be written, or when something else than a file is there: a symbolic link would say where
/// a secret goes.
pub(crate) fn write_whole(path: &Path, content: &[u8], mode: Mode) -> Result<(), Failure> {
    refuse_unless_plain(path)?;
    let write = || {
        let draft = draft(path, content, mode)?;
        draft.persist(path)?;
        File::open(above(path))?.sync_all()
    };
    write().map_err(|error: std::io::Error| unwritable(path, "writing", &error))
}

/// Writes a file if nothing is at `path` yet, whole or not at all; returns whether it did.
///
/// # Errors
/// [`Failure`] when it cannot be written.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: Mode) -> Result<bool, Failure> {
    let write = || {
        match draft(path, content, mode)?.persist_noclobber(path) {
            Ok(_) => {}
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        File::open(above(path))?.sync_all()?;
        Ok(true)
    };
    write().map_err(|error: std::io::Error| unwritable(path, "writing", &error))
}

/// Gives the file at `from` the name `to`, where nothing must be.
///
/// # Errors
/// [`Failure`] when something is there, or it cannot be renamed.
pub(crate) fn rename_new(from: &Path, to: &Path) -> Result<(), Failure> {
    refuse_if_there(to)?;
    let rename = || {
        fs::rename(from, to)?;
        File::open(above(to))?.sync_all()
    };
    rename().map_err(|error| unwritable(to, "writing", &error))
}

/// Refuses to go on where something is at `path` that a key would replace.
///
/// # Errors
/// [`Failure`] when there is.
pub(crate) fn refuse_if_there(path: &Path) -> Result<(), Failure> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Finding,
        format!(
            "{} is there already; keys are never overwritten, name another file",
            path.display()
        ),
    ))
}

/// Refuses to write through a link, or into what is no file.
fn refuse_unless_plain(path: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => Err(Failure::new(
            Exit::Finding,
            format!(
                "{} is no plain file; a secret is not written through a link, remove it first",
                path.display()
            ),
        )),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(unwritable(path, "looking at", &error))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Writes what is to become the file at `path` beside it, down to the disk.
fn draft(path: &Path, content: &[u8], mode: Mode) -> std::io::Result<NamedTempFile> {
    // Made with mode 0600 under a name that was free.
    let mut draft = NamedTempFile::new_in(above(path))?;
    draft.write_all(content)?;
    draft
        .as_file()
        .set_permissions(Permissions::from_mode(mode.bits()))?;
    draft.as_file().sync_all()?;
    Ok(draft)
}

/// Returns the directory that `path` is in.
fn above(path: &Path) -> &Path {
    let directory = path.parent();
    let directory = directory.filter(|directory| !directory.as_os_str().is_empty());
    directory.unwrap_or_else(|| Path::new("."))
}

/// Writes the seed of a new key to a file of mode 0600, which must not be there.
///
/// # Errors
/// [`Failure`] when something is there already, or it cannot be written.
pub(crate) fn write_new_seed(path: &Path, key: &Nkey) -> Result<(), Failure> {
    let seed = key
        .expose_seed()
        .map_err(|error| Failure::caused(Exit::Internal, "taking the seed", &error))?;
    if write_new(path, seed.as_bytes(), Mode::Secret)? {
        return Ok(());
    }
    refuse_if_there(path)
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
    let seed = read_text(path)?;
    let key = Nkey::from_seed(kind, &seed).map_err(|error| {
        let reading = format!("the seed in {}", path.display());
        Failure::caused(Exit::Configuration, reading, &error)
    })?;
    refuse_if_open(path)?;
    Ok(key)
}

/// Reads a `.creds` file.
///
/// # Errors
/// [`Failure`] when it is none.
pub(crate) fn read_credentials(path: &Path) -> Result<Credentials, Failure> {
    Credentials::parse(&read_text(path)?)
        .map_err(|error| Failure::caused(Exit::Configuration, path.display(), &error))
}

/// Reads the JWT of a `.creds` file.
///
/// # Errors
/// [`Failure`] when it is none.
pub(crate) fn read_user(path: &Path) -> Result<Jwt, Failure> {
    Jwt::read(read_credentials(path)?.jwt())
        .map_err(|error| Failure::caused(Exit::Configuration, path.display(), &error))
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

/// Makes a new key.
///
/// # Errors
/// As [`random_seed`].
pub(crate) fn new_key(kind: NkeyKind) -> Result<Nkey, Failure> {
    Nkey::from_random(kind, random_seed()?)
        .map_err(|error| Failure::caused(Exit::Internal, "making a key", &error))
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

/// Says why nothing can be written at `path`: what was named is wrong, or the machine failed us.
fn unwritable(path: &Path, doing: &str, error: &std::io::Error) -> Failure {
    let doing = format!("{doing} {}", path.display());
    let misnamed = MISNAMED.iter().find(|(kind, _)| *kind == error.kind());
    match misnamed {
        Some((_, why)) => Failure::new(Exit::Configuration, format!("{doing}: {why}")),
        None => Failure::caused(Exit::Internal, doing, error),
    }
}

/// What is wrong with a place that was named, by what the operating system says.
const MISNAMED: [(ErrorKind, &str); 5] = [
    (ErrorKind::NotFound, NO_DIRECTORY),
    (ErrorKind::PermissionDenied, NOT_PERMITTED),
    (ErrorKind::ReadOnlyFilesystem, NOT_PERMITTED),
    (ErrorKind::AlreadyExists, FILE_IN_THE_WAY),
    (ErrorKind::NotADirectory, FILE_IN_THE_WAY),
];
const NO_DIRECTORY: &str = "the directory that it belongs into is not there; make it first";
const NOT_PERMITTED: &str = "not permitted here; name a directory that you may write to";
const FILE_IN_THE_WAY: &str = "a file is where a directory is needed; name another place";

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
    fn what_must_be_new_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a.nk"), folder.path().join("b.nk"));
        assert!(write_new(&path, b"first", Mode::Secret).unwrap());
        assert!(!write_new(&path, b"second", Mode::Secret).unwrap());
        let key = Nkey::from_random(NkeyKind::Account, [1; 32]).unwrap();
        assert_eq!(
            write_new_seed(&path, &key).unwrap_err().exit(),
            Exit::Finding
        );
        write_new_seed(&other, &key).unwrap();
        assert_eq!(mode_of(&other), 0o600);
        assert_eq!(rename_new(&other, &path).unwrap_err().exit(), Exit::Finding);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no drafts");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_the_operators_to_mend() {
        let folder = tempfile::Builder::new().prefix("desk").tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for (failure, part) in [
            (make_private_directory(&file), "a file is where"),
            (
                write_whole(&folder.path().join("none/a"), b"", Mode::Public),
                "make it first",
            ),
            (
                write_whole(&file.join("a"), b"", Mode::Public),
                "a file is where",
            ),
        ] {
            let failure = failure.unwrap_err();
            assert_eq!(failure.exit(), Exit::Configuration, "{failure}");
            assert!(failure.to_string().contains(part), "{failure}");
            assert!(!failure.to_string().contains(".tmp"), "{failure}");
        }
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
