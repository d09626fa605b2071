//! `diff`: which grants a change of credentials adds and takes away.

use crate::deployment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use clap::{Args, ValueEnum};
use microbus_deploy::difference::{Difference, Grants};
use std::path::{Path, PathBuf};

/// Compare the grants of two credentials, or of two directories of them
///
/// Services are told apart by the name in the JWT. Planes, keys and times are left out, so that environments and runs
/// can be compared.
///
/// Exit codes: 0 no difference, 3 grants differ, 4 a grant was added that reaches port 666, by name or by a wildcard, 78 a
/// file cannot be read.
///
/// Example: microbus-deploy diff creds.deployed creds --format md
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// What was: a .creds file, or a directory
    old: PathBuf,
    /// What is
    new: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A line for each grant
    Text,
    /// A table for the comment of a review
    Md,
    /// For programs
    Json,
}

impl Diff {
    /// # Errors
    /// [`Failure`] when a file cannot be read or believed.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let difference = Difference::between(&grants(&self.old)?, &grants(&self.new)?);
        match self.format {
            Format::Text => output::print(&difference.to_text())?,
            Format::Md => output::print(&difference.to_markdown())?,
            Format::Json => output::print_json(&difference)?,
        }
        Ok(if difference.adds_danger() {
            Exit::DangerAdded
        } else if difference.is_empty() {
            Exit::Ok
        } else {
            Exit::Differences
        })
    }
}

fn grants(path: &Path) -> Result<Grants, Failure> {
    let mut grants = Grants::default();
    // A directory without any is what was there before the first ones.
    for file in deployment::read(path)? {
        grants.add(&deployment::user(&file)?);
    }
    Ok(grants)
}
