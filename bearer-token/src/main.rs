//! The process of bearer.token.core.

use std::process::ExitCode;

fn main() -> ExitCode {
    bearer_token::main()
}
