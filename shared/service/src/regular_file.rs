//! Reads files that others may have put there: only regular ones, and no more than they may hold.
//!
//! Files are looked for in every directory above ours, some of which others can write to. Opening a pipe would wait for ever,
//! and a device never ends; both would stop a process, and at a refresh one that serves.

use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Opens a file for reading, without waiting for anybody; `None` if it is not a regular one.
///
/// # Errors
/// When it cannot be opened.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let is_regular = file.metadata()?.is_file();
    Ok(is_regular.then_some(file))
}

/// Returns the mode of a file that others than its owner and its group may use; `None` if they may not.
///
/// # Errors
/// When the file system cannot tell.
pub fn mode_for_others(file: &File) -> io::Result<Option<u32>> {
    let mode = file.metadata()?.mode() & 0o7777;
    Ok((mode & 0o007 != 0).then_some(mode))
}

/// Reads a text, which may hold secrets.
///
/// # Errors
/// When it cannot be opened or read, is not a regular file, is too large or is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = open_regular(path)?.ok_or_else(|| io::Error::other("it is not a file"))?;
    text_of(file)
}

/// Reads a text, which may hold secrets, from a file that was opened.
///
/// # Errors
/// When it cannot be read, is too large or is not UTF-8.
pub(crate) fn text_of(file: File) -> io::Result<Zeroizing<String>> {
    let length = file.metadata()?.len().min(LARGEST);
    // Of this size at once, since growing would leave copies behind.
    let capacity = usize::try_from(length).unwrap_or(0).saturating_add(64);
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    let read = file
        .take(LARGEST.saturating_add(1))
        .read_to_string(&mut text)?;
    match u64::try_from(read) {
        Ok(read) if read <= LARGEST => Ok(text),
        _ => Err(io::Error::other(format!(
            "it has more than {LARGEST} bytes"
        ))),
    }
}

/// Far more than any configuration of ours.
const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_of_a_reasonable_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let problem = |name: &str| read_text(&path(name)).unwrap_err().to_string();
        std::fs::write(path("text"), "a: b").unwrap();
        symlink(path("text"), path("link")).unwrap();
        assert_eq!(*read_text(&path("link")).unwrap(), "a: b");

        let mode = Mode::from_raw_mode(0o600);
        let pipe = path("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        symlink("/dev/zero", path("endless")).unwrap();
        for name in ["pipe", "endless", ""] {
            assert_eq!(problem(name), "it is not a file", "{name}");
        }
        std::fs::write(path("large"), vec![b'#'; 1 + (1 << 20)]).unwrap();
        assert_eq!(problem("large"), "it has more than 1048576 bytes");
        std::fs::write(path("binary"), [0xff]).unwrap();
        assert!(problem("binary").contains("UTF-8"));
        symlink(path("loop"), path("loop")).unwrap();
        assert!(read_text(&path("loop")).is_err());
        let absent = read_text(&path("absent")).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }
}
