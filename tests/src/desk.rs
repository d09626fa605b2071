//! A directory in which an operator works with the real `microbus-deploy`.

use crate::build_folder;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A working directory of its own for the tool.
#[derive(Debug)]
pub struct Desk {
    folder: TempDir,
}

/// What a run of the tool left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Desk {
    /// Makes an empty desk.
    #[must_use]
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("temporary folders can be made"),
        }
    }

    /// Runs `microbus-deploy` with arguments that are separated by blanks.
    #[must_use]
    pub fn run(&self, arguments: &str) -> Ran {
        let output = Command::new(build_folder::binary("microbus-deploy", "microbus-deploy"))
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .output();
        let Output {
            status,
            stdout,
            stderr,
        } = output.expect("the tool was built");
        Ran {
            code: status.code().expect("the tool is not killed"),
            stdout: String::from_utf8(stdout).expect("the tool prints text"),
            stderr: String::from_utf8(stderr).expect("the tool prints text"),
        }
    }

    /// Returns the path of something on the desk.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file onto the desk.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), content).expect("a file can be written");
    }

    /// Returns the text of a file on the desk; panics when it is not there.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Ran {
    /// Returns what the tool printed; panics when it did not exit with 0.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }
}
