//! Git itself, asked about a repository: its rules about ignored files are nothing to write again.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A repository.
#[derive(Debug)]
pub(super) struct Git<'a> {
    folder: &'a Path,
}

impl<'a> Git<'a> {
    /// Opens the repository that `folder` is in; `None` when it is in none, or there is no git.
    pub(super) fn open(folder: &'a Path) -> Option<Self> {
        let git = Self { folder };
        let inside = git.run(&["rev-parse", "--is-inside-work-tree"])?;
        inside.status.success().then_some(git)
    }

    /// Tells whether a file called `name`, which need not be there, would be ignored.
    pub(super) fn ignores(&self, name: &str) -> bool {
        let asked = self.run(&["check-ignore", "--no-index", "--quiet", name]);
        asked.is_some_and(|output| output.status.success())
    }

    /// Returns the commits that added a file whose name matches one of `patterns`, with that file.
    pub(super) fn added(&self, patterns: &[&str]) -> Vec<(String, String)> {
        let mut arguments = vec![
            "log",
            "--all",
            "--diff-filter=A",
            "--name-only",
            "--format=commit %h",
            "--",
        ];
        arguments.extend(patterns);
        let Some(output) = self.run(&arguments) else {
            return Vec::new();
        };
        let mut commit = String::new();
        let mut added = Vec::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            match line.strip_prefix("commit ") {
                Some(name) => name.clone_into(&mut commit),
                None if line.is_empty() => {}
                None => added.push((commit.clone(), line.to_owned())),
            }
        }
        added
    }

    /// Returns the files of the index whose name matches one of `patterns`.
    pub(super) fn staged(&self, patterns: &[&str]) -> Vec<String> {
        let mut arguments = vec!["ls-files", "--full-name", "--"];
        arguments.extend(patterns);
        let output = self.run(&arguments);
        let listed = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let listed = listed.unwrap_or_default();
        listed.lines().map(str::to_owned).collect()
    }

    fn run(&self, arguments: &[&str]) -> Option<Output> {
        Command::new("git")
            .arg("-C")
            .arg(self.folder)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .ok()
    }
}
