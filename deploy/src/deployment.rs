//! The credentials that lie in a deployment.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use microbus_deploy::audit::Deployed;
use microbus_deploy::{Credentials, Jwt};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Reads a `.creds` file, or every one in a directory and those below it, sorted by path.
///
/// # Errors
/// [`Failure`] when the path or a file cannot be read.
pub(crate) fn read(path: &Path) -> Result<Vec<Deployed>, Failure> {
    let mut paths = Vec::new();
    if path.is_dir() {
        collect(path, &mut paths)?;
        paths.sort();
    } else {
        paths.push(path.to_owned());
    }
    paths.iter().map(|path| deployed(path)).collect()
}

/// As [`read`], where there must be something.
///
/// # Errors
/// [`Failure`] as that of [`read`], or when there is no file.
pub(crate) fn read_some(path: &Path) -> Result<Vec<Deployed>, Failure> {
    let files = read(path)?;
    if files.is_empty() {
        return Err(Failure::new(
            Exit::Configuration,
            format!("{} has no .creds file in it", path.display()),
        ));
    }
    Ok(files)
}

/// Returns the user that a file is of.
///
/// # Errors
/// [`Failure`] when it holds no credentials.
pub(crate) fn user(file: &Deployed) -> Result<Jwt, Failure> {
    let credentials = file.credentials.as_ref();
    let jwt = credentials
        .map(Credentials::jwt)
        .map_err(|error| Failure::caused(Exit::Configuration, &file.path, error))?;
    Jwt::read(jwt).map_err(|error| Failure::caused(Exit::Configuration, &file.path, &error))
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        let reading = format!("reading {}", directory.display());
        Failure::caused(Exit::Configuration, reading, &error)
    };
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        // Links to directories are not followed: they may lead in circles, or out of the deployment.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            // Where an orchestrator keeps the targets of the links beside it.
            if !entry.file_name().to_string_lossy().starts_with("..") {
                collect(&path, paths)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "creds")
        {
            paths.push(path);
        }
    }
    Ok(())
}

fn deployed(path: &Path) -> Result<Deployed, Failure> {
    let text = files::read_text(path)?;
    let metadata = fs::metadata(path).map_err(|error| {
        let reading = format!("looking at {}", path.display());
        Failure::caused(Exit::Configuration, reading, &error)
    })?;
    Ok(Deployed {
        path: path.display().to_string(),
        mode: metadata.permissions().mode(),
        credentials: Credentials::parse(&text),
    })
}
