//! `inspect`: what credentials, JWTs and seeds are.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::{files, output};
use clap::Args;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::{Credentials, Inspection, Jwt, Nkey, NkeyKind, date};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Show who credentials, JWTs and seeds are, who signed them, until when, and for which subjects
///
/// Reads `.creds` files, JWTs of operators, accounts and users, and seeds. Every signature is verified. Of a seed only
/// its public key is shown, of credentials never the seed.
///
/// Exit codes: 0 all shown, 78 a file is none of these.
///
/// Example: microbus-deploy inspect ops/operator.jwt ops/account.jwt ops/sys.creds
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The files; `-` reads standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a file is.
#[derive(Serialize)]
#[serde(untagged)]
enum Content {
    Jwt(Box<Inspection>),
    Seed { seed_of: String, kind: &'static str },
}

#[derive(Serialize)]
struct Inspected {
    file: String,
    #[serde(flatten)]
    content: Content,
}

impl Inspect {
    /// # Errors
    /// [`Failure`] when a file cannot be read, or is none of these.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let now = date::unix(SystemClock.wall());
        let mut inspected = Vec::new();
        for path in &self.files {
            inspected.push(inspect(path, now)?);
        }
        if self.json {
            output::print_json(&inspected)?;
            return Ok(Exit::Ok);
        }
        for Inspected { file, content } in &inspected {
            let text = match content {
                Content::Jwt(inspection) => inspection.to_text(),
                Content::Seed { seed_of, kind } => format!("  seed of       {seed_of} ({kind})\n"),
            };
            output::print(&format!("{file}\n{text}"))?;
        }
        Ok(Exit::Ok)
    }
}

fn inspect(path: &Path, now: i64) -> Result<Inspected, Failure> {
    let text = files::read_text(path)?;
    let failed =
        |error: &dyn std::error::Error| Failure::caused(Exit::Configuration, path.display(), error);
    let content = if let Some(seed) = seed(&text) {
        seed
    } else if text.contains("-----BEGIN") {
        let credentials = Credentials::parse(&text).map_err(|error| failed(&error))?;
        jwt(credentials.jwt(), now).map_err(|error| failed(&error))?
    } else {
        jwt(&text, now).map_err(|error| failed(&error))?
    };
    Ok(Inspected {
        file: path.display().to_string(),
        content,
    })
}

fn jwt(compact: &str, now: i64) -> Result<Content, microbus_deploy::jwt::JwtError> {
    let jwt = Jwt::read(compact)?;
    Ok(Content::Jwt(Box::new(Inspection::of(&jwt, compact, now))))
}

fn seed(text: &str) -> Option<Content> {
    let kinds = [
        (NkeyKind::Operator, "operator"),
        (NkeyKind::Account, "account"),
        (NkeyKind::User, "user"),
    ];
    kinds.into_iter().find_map(|(of, kind)| {
        let key = Nkey::from_seed(of, text).ok()?;
        Some(Content::Seed {
            seed_of: key.public_key(),
            kind,
        })
    })
}
