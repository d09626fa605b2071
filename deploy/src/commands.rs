//! The verbs of the command line, a file each.

mod as_operator;
mod at_broker;
mod at_bus;
mod audit;
mod audit_log;
mod completions;
mod creds;
mod diff;
mod doctor;
mod explain;
mod init;
mod inspect;
mod keys;
mod man;
mod mint;
mod proof;
mod revoke;
mod rotate_account;
mod rotate_signing_key;
mod up;
mod warm_ingress;

use crate::exit::Exit;
use crate::failure::Failure;
use clap::Subcommand;

/// What the operator asks for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Audit(audit::Audit),
    AuditLog(audit_log::AuditLog),
    Completions(completions::Completions),
    Creds(Box<creds::Creds>),
    Diff(diff::Diff),
    Doctor(Box<doctor::Doctor>),
    Explain(explain::Explain),
    Init(Box<init::Init>),
    Inspect(inspect::Inspect),
    Keys(keys::Keys),
    Man(man::Man),
    Mint(mint::Mint),
    Revoke(revoke::Revoke),
    RotateAccount(rotate_account::RotateAccount),
    RotateSigningKey(rotate_signing_key::RotateSigningKey),
    Up(up::Up),
    WarmIngress(warm_ingress::WarmIngress),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be done; a finding of a command that looks for findings is none.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Audit(audit) => audit.run(),
            Self::AuditLog(audit_log) => audit_log.run(),
            Self::Completions(completions) => completions.run(),
            Self::Creds(creds) => creds.run(),
            Self::Diff(diff) => diff.run(),
            Self::Doctor(doctor) => doctor.run(),
            Self::Explain(explain) => explain.run(),
            Self::Init(init) => init.run(),
            Self::Inspect(inspect) => inspect.run(),
            Self::Keys(keys) => keys.run(),
            Self::Man(man) => man.run(),
            Self::Mint(mint) => mint.run(),
            Self::Revoke(revoke) => revoke.run(),
            Self::RotateAccount(rotate) => rotate.run(),
            Self::RotateSigningKey(rotate) => rotate.run(),
            Self::Up(up) => up.run(),
            Self::WarmIngress(warm_ingress) => warm_ingress.run(),
        }
    }
}
