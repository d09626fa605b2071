//! A working directory of a service: its credentials, and what a process that starts there would be told.

use crate::credentials::{Credentials, CredentialsError};
use crate::jwt::Jwt;
use microbus_service::Environment;
use microbus_wire::Plane;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A working directory.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) environment: Environment,
    pub(crate) credentials: Vec<CredentialsFile>,
    /// Every plain file directly in it with its permission bits.
    pub(crate) files: Vec<(PathBuf, u32)>,
}

/// A `.creds` file.
#[derive(Debug)]
pub(crate) struct CredentialsFile {
    pub(crate) path: PathBuf,
    pub(crate) content: Result<(Credentials, Jwt), Unreadable>,
}

/// Why a `.creds` file is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("{0}")]
    File(std::io::Error),
    #[error("{0}")]
    Content(#[from] CredentialsError),
}

impl Place {
    /// Looks at `directory`; variables of the operating system are `process`.
    pub(crate) fn look(
        directory: &Path,
        process: &BTreeMap<String, String>,
    ) -> std::io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let metadata = fs::metadata(&path);
            if let Ok(metadata) = metadata.as_ref()
                && metadata.is_file()
            {
                files.push((path, metadata.permissions().mode() & 0o777));
            }
        }
        files.sort();
        let credentials = files
            .iter()
            .filter(|(path, _)| path.extension().is_some_and(|kind| kind == "creds"))
            .map(|(path, _)| CredentialsFile::read(path))
            .collect();
        Ok(Self {
            directory: directory.to_owned(),
            environment: Environment::layered(process.clone(), directory),
            credentials,
            files,
        })
    }

    /// Returns the plane that a process started here works on, or the text that is none.
    pub(crate) fn plane(&self) -> Result<Plane, String> {
        match self.environment.get("MICROBUS_PLANE") {
            None => Ok(Plane::default()),
            Some(text) => Plane::parse(text).map_err(|_| text.to_owned()),
        }
    }

    /// Returns the readable credentials.
    pub(crate) fn readable(&self) -> impl Iterator<Item = (&Path, &Credentials, &Jwt)> {
        self.credentials.iter().filter_map(|file| {
            let (credentials, jwt) = file.content.as_ref().ok()?;
            Some((file.path.as_path(), credentials, jwt))
        })
    }
}

impl CredentialsFile {
    pub(crate) fn read(path: &Path) -> Self {
        let read = || {
            let text = fs::read_to_string(path).map(zeroize::Zeroizing::new);
            let credentials = Credentials::parse(&text.map_err(Unreadable::File)?)?;
            let jwt = Jwt::read(credentials.jwt()).map_err(CredentialsError::from)?;
            Ok((credentials, jwt))
        };
        Self {
            path: path.to_owned(),
            content: read(),
        }
    }
}

/// Returns the first part of every pattern of a credential: the planes that it reaches.
pub(crate) fn planes_of(jwt: &Jwt) -> Vec<&str> {
    let mut planes: Vec<&str> = ["pub", "sub"]
        .iter()
        .flat_map(|verb| jwt.strings(&[verb, "allow"]))
        .filter_map(|pattern| pattern.split('.').next())
        .collect();
    planes.sort_unstable();
    planes.dedup();
    planes
}

/// Tells whether a credential lets its holder serve port 666.
pub(crate) fn serves_danger(jwt: &Jwt) -> bool {
    let subscribe = jwt.strings(&["sub", "allow"]);
    subscribe
        .iter()
        .any(|pattern| pattern.split('.').nth(1) == Some("danger"))
}
