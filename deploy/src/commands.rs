//! The verbs of the command line, a file each.

mod audit;
mod completions;
mod creds;
mod diff;
mod explain;
mod init;
mod inspect;
mod man;

use crate::exit::Exit;
use crate::failure::Failure;
use clap::Subcommand;

/// What the operator asks for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Audit(audit::Audit),
    Completions(completions::Completions),
    Creds(Box<creds::Creds>),
    Diff(diff::Diff),
    Explain(explain::Explain),
    Init(Box<init::Init>),
    Inspect(inspect::Inspect),
    Man(man::Man),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be done; a finding of a command that looks for findings is none.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Audit(audit) => audit.run(),
            Self::Completions(completions) => completions.run(),
            Self::Creds(creds) => creds.run(),
            Self::Diff(diff) => diff.run(),
            Self::Explain(explain) => explain.run(),
            Self::Init(init) => init.run(),
            Self::Inspect(inspect) => inspect.run(),
            Self::Man(man) => man.run(),
        }
    }
}
