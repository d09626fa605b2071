//! `completions`: what a shell needs to complete our command lines.

use crate::Arguments;
use crate::exit::Exit;
use crate::failure::Failure;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::io::Write as _;

/// Print the completions of a shell
///
/// Example: microbus-deploy completions bash > /etc/bash_completion.d/microbus-deploy
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// # Errors
    /// [`Failure`] when standard output cannot be written.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        let mut command = Arguments::command();
        clap_complete::generate(self.shell, &mut command, "microbus-deploy", &mut script);
        std::io::stdout()
            .write_all(&script)
            .map_err(|error| Failure::caused(Exit::Internal, "writing the completions", &error))?;
        Ok(Exit::Ok)
    }
}
