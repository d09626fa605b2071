//! The process of access.token.core.

use std::process::ExitCode;

fn main() -> ExitCode {
    access_token::main(Vec::new())
}
