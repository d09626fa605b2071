//! `man`: the manual pages, a page for each verb.

use crate::Arguments;
use crate::exit::Exit;
use crate::failure::Failure;
use clap::{Args, CommandFactory as _};
use std::path::PathBuf;

/// Write the manual pages into a directory
///
/// Example: microbus-deploy man /usr/local/share/man/man1
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The directory, which must be there; pages of an earlier version are replaced
    directory: PathBuf,
}

impl Man {
    /// # Errors
    /// [`Failure`] when the directory cannot be written.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let place = self.directory.display();
        clap_mangen::generate_to(Arguments::command(), &self.directory).map_err(|error| {
            Failure::caused(
                Exit::Configuration,
                format!("writing manual pages into {place}"),
                &error,
            )
        })?;
        Ok(Exit::Ok)
    }
}
