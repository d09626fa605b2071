//! The tool under test, run in a directory of its own.

use microbus_deploy::{Credentials, Jwt};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A directory in which an operator works.
pub(crate) struct Desk {
    folder: TempDir,
}

/// What a run of the tool left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Makes the desk of an operator who has run `init ops`.
    pub(crate) fn with_accounts() -> Self {
        let desk = Self::new();
        desk.run("init ops").succeeded();
        desk
    }

    /// Runs the tool with arguments that are separated by blanks.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_microbus-deploy"))
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        Ran {
            code: status.code().unwrap(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Runs `creds` with the signing key of the account.
    pub(crate) fn creds(&self, arguments: &str) -> Ran {
        let signer = "--signing-key ops/account-sk.nk --account-jwt ops/account.jwt";
        self.run(&format!("creds {signer} {arguments}"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        mode(&self.path(name))
    }

    pub(crate) fn set_mode(&self, name: &str, mode: u32) {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path(name), mode).unwrap();
    }

    /// Returns what a file with a JWT says.
    pub(crate) fn jwt(&self, name: &str) -> Jwt {
        Jwt::read(&self.read(name)).unwrap()
    }

    /// Returns the claims of a `.creds` file.
    pub(crate) fn user(&self, name: &str) -> Jwt {
        let credentials = Credentials::parse(&self.read(name)).unwrap();
        Jwt::read(credentials.jwt()).unwrap()
    }

    /// Returns the names of the files in a directory, sorted.
    pub(crate) fn list(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Checks the exit code, and that the reason has all of `parts`.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part}: {}", self.stderr);
        }
        self
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
