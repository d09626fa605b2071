//! `microbus-deploy`: what an operator of a Microbus bus does, in one tool.
//!
//! Each verb is a file in `commands/`. What a verb decides is in the library, without I/O and without a clock; what it
//! reads, writes and asks is in its file.

mod arguments;
mod commands;
mod deployment;
mod exit;
mod failure;
mod files;
mod output;
mod pending_seed;

use clap::Parser;
use commands::Command;
use std::io::Write as _;
use std::process::ExitCode;

/// Sets up and looks after a Microbus bus: broker, accounts, credentials, issuers of tokens.
///
/// Seeds are read from files of mode 0600 and never printed. Nothing is changed by a command that only looks.
///
/// Exit codes: 0 ok, 1 a finding or refusal, 2 usage or size budget, 3 differences, 4 a danger grant was added, 5 could
/// not tell, 69 broker unreachable, 70 internal fault, 78 configuration.
#[derive(Debug, Parser)]
#[command(name = "microbus-deploy", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    if let Err(error) = microbus_service::forbid_dumps() {
        // It goes on: seeds are no safer in a tool that the operator replaces by another one.
        output::warn(&format!("a crash may write seeds to disk: {error}"));
    }
    match Arguments::parse().command.run() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Without a standard error there is nobody to tell; the exit code says the rest.
            drop(writeln!(std::io::stderr(), "microbus-deploy: {failure}"));
            failure.exit().into()
        }
    }
}
