//! The verbs of the command line, a file each.

mod as_operator;
mod at_broker;
mod completions;
mod creds;
mod doctor;
mod init;
mod man;
mod mint;
mod revoke;
mod up;

use crate::exit::Exit;
use crate::failure::Failure;
use clap::Subcommand;

/// What the operator asks for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Completions(completions::Completions),
    Creds(Box<creds::Creds>),
    Doctor(Box<doctor::Doctor>),
    Init(Box<init::Init>),
    Man(man::Man),
    Mint(mint::Mint),
    Revoke(revoke::Revoke),
    Up(up::Up),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be done; a finding of a command that looks for findings is none.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Completions(completions) => completions.run(),
            Self::Creds(creds) => creds.run(),
            Self::Doctor(doctor) => doctor.run(),
            Self::Init(init) => init.run(),
            Self::Man(man) => man.run(),
            Self::Mint(mint) => mint.run(),
            Self::Revoke(revoke) => revoke.run(),
            Self::Up(up) => up.run(),
        }
    }
}
