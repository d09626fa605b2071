//! A file with a private key, read again when it changes.
//!
//! What is judged is what is read: one open file gives both the mode and the content. A change counts when two looks in a
//! row agree on it, so that a file half written, or one of two that a Kubernetes mount swaps together, is not taken for
//! the operator's will. No error quotes content.

use microbus_service::{mode_for_others, open_regular};
use microbus_token::{KeyTextError, SigningKey, read_key_text};
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key file and what was last read from it.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile {
    property: &'static str,
    path: PathBuf,
    secrecy: Secrecy,
    key: Option<Arc<SigningKey>>,
    /// What two looks in a row agreed on.
    settled: Look,
    /// What the last look saw.
    seen: Look,
}

/// What one look at a key file saw.
#[derive(Debug)]
pub(crate) struct Sight {
    key: Result<Option<Arc<SigningKey>>, KeyFileError>,
    is_steady: bool,
}

/// Who may read a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// Its owner and its group at most.
    NotOthers,
    /// Anybody: a developer's machine.
    Anybody,
}

/// A key file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{property} {}: {cause}", path.display())]
pub(crate) struct KeyFileFault {
    property: &'static str,
    path: PathBuf,
    cause: KeyFileError,
}

/// Why a key file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error("it cannot be read ({0}); name a file that this process may read")]
    Unreadable(io::ErrorKind),
    #[error("it is not a file; name the file with the key itself")]
    NotAFile,
    #[error(
        "its mode is {found:04o}, so that others may use it; wanted is 0440 or stricter (chmod o= on it)"
    )]
    OpenToOthers { found: u32 },
    #[error("it has more than {LARGEST} bytes; a key has about 120")]
    TooLarge,
    #[error("{0}")]
    Text(#[from] KeyTextError),
}

/// What one look saw; `None` is an empty file.
type Look = Result<Option<PublicHalf>, KeyFileError>;

#[derive(Clone, PartialEq, Eq)]
struct PublicHalf([u8; 32]);

impl KeyFile {
    /// Reads the file for the first time; an empty one holds no key.
    ///
    /// # Errors
    /// [`KeyFileFault`], which names the property that names the file.
    pub(crate) fn open(
        property: &'static str,
        path: &str,
        secrecy: Secrecy,
    ) -> Result<Self, KeyFileFault> {
        let path = PathBuf::from(path);
        match read(&path, secrecy) {
            Ok(key) => Ok(Self {
                property,
                path,
                secrecy,
                settled: Ok(PublicHalf::of(key.as_deref())),
                seen: Ok(PublicHalf::of(key.as_deref())),
                key,
            }),
            Err(cause) => Err(KeyFileFault {
                property,
                path,
                cause,
            }),
        }
    }

    /// Looks at the file again; what was seen counts when it is passed to [`KeyFile::settle`].
    pub(crate) fn look(&mut self) -> Sight {
        let key = read(&self.path, self.secrecy);
        let look = match &key {
            Ok(key) => Ok(PublicHalf::of(key.as_deref())),
            Err(cause) => Err(cause.clone()),
        };
        let is_steady = look == self.seen;
        self.seen = look;
        Sight { key, is_steady }
    }

    /// Takes what two looks agreed on and tells whether the key changed. What cannot be used is logged, and the key stays.
    pub(crate) fn settle(&mut self, sight: Sight) -> bool {
        if self.seen == self.settled {
            return false;
        }
        self.settled = self.seen.clone();
        match sight.key {
            Ok(key) => {
                let changed = PublicHalf::of(self.key.as_deref()) != PublicHalf::of(key.as_deref());
                self.key = key;
                tracing::info!(path = %self.path.display(), changed, "Key file read");
                changed
            }
            Err(cause) => {
                let fault = KeyFileFault {
                    property: self.property,
                    path: self.path.clone(),
                    cause,
                };
                tracing::error!(error = %fault, "Key file cannot be used, the key read before stays");
                false
            }
        }
    }

    /// Returns the key that was read last.
    #[must_use]
    pub(crate) fn key(&self) -> Option<&Arc<SigningKey>> {
        self.key.as_ref()
    }

    /// Tells whether this is the file at `path`.
    #[must_use]
    pub(crate) fn is_at(&self, path: &str) -> bool {
        self.path == Path::new(path)
    }

    /// Tells whether the file cannot be used at present.
    #[must_use]
    pub(crate) fn is_unusable(&self) -> bool {
        self.settled.is_err()
    }
}

impl Sight {
    /// Tells whether the look before saw the same.
    #[must_use]
    pub(crate) fn is_steady(&self) -> bool {
        self.is_steady
    }

    /// Tells whether the file gives a key, or says that there is none.
    #[must_use]
    pub(crate) fn is_usable(&self) -> bool {
        self.key.is_ok()
    }

    /// Tells whether there is a file that cannot be used: one that is not there says nothing of what is wanted.
    #[must_use]
    pub(crate) fn is_bad(&self) -> bool {
        let absent = KeyFileError::Unreadable(io::ErrorKind::NotFound);
        self.key.as_ref().is_err_and(|cause| *cause != absent)
    }
}

impl PublicHalf {
    fn of(key: Option<&SigningKey>) -> Option<Self> {
        key.map(|key| Self(*key.verifying_key().as_bytes()))
    }
}

impl fmt::Debug for PublicHalf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PublicHalf(..)")
    }
}

fn read(path: &Path, secrecy: Secrecy) -> Result<Option<Arc<SigningKey>>, KeyFileError> {
    let unreadable = |error: io::Error| KeyFileError::Unreadable(error.kind());
    let file = open_regular(path)
        .map_err(unreadable)?
        .ok_or(KeyFileError::NotAFile)?;
    let mode = mode_for_others(&file).map_err(unreadable)?;
    if let Some(found) = mode.filter(|_| secrecy == Secrecy::NotOthers) {
        return Err(KeyFileError::OpenToOthers { found });
    }
    // Room for one byte more and some spare, so that the buffer never grows and leaves a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(LARGEST + 64));
    let limit = u64::try_from(LARGEST + 1).unwrap_or(u64::MAX);
    file.take(limit)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    if text.len() > LARGEST {
        return Err(KeyFileError::TooLarge);
    }
    Ok(read_key_text(&text)?.map(Arc::new))
}

const LARGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests;
