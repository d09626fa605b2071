//! `audit`: what is wrong, or worth knowing, in the credentials of a deployment.

use crate::deployment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{files, output};
use clap::Args;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::audit::{self, Minters};
use microbus_deploy::date;
use std::path::PathBuf;

/// Judge the credentials of a deployment
///
/// Reads every `.creds` file of a directory and those below it, and says for each: whose it is, until when it counts,
/// every grant that reaches port 666, every grant for any host or any port, and what is wrong with it. Then: who may
/// mint. Searching the files for words finds none of this, because permissions are base64 inside a JWT.
///
/// Seeds are never shown.
///
/// Exit codes: 0 nothing but notes, 1 a finding (with --strict also: a note), 78 a file or directory cannot be read.
///
/// Example: microbus-deploy audit /srv/microbus --allow-mint minters.txt
#[derive(Debug, Args)]
#[command(after_long_help = FINDINGS)]
pub(crate) struct Audit {
    /// The directory, or one file
    directory: PathBuf,
    /// Who is expected to mint: a line for each, with the host of the caller and that of the issuer, or * for both
    #[arg(long, value_name = "FILE")]
    allow_mint: Option<PathBuf>,
    /// Count notes as findings, too
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Audit {
    /// # Errors
    /// [`Failure`] when a file cannot be read; what a file says wrong is a finding instead.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let minters = match &self.allow_mint {
            None => Minters::default(),
            Some(path) => Minters::parse(&files::read_text(path)?)
                .map_err(|error| Failure::caused(Exit::Configuration, path.display(), &error))?,
        };
        let files = deployment::read_some(&self.directory)?;
        let now = date::unix(SystemClock.wall());
        let report = audit::audit(&files, &minters, now);
        if self.json {
            output::print_json(&report)?;
        } else {
            output::print(&report.to_text())?;
        }
        let notes = report.files.iter().any(|row| !row.findings.is_empty());
        if report.unexpected() > 0 || (self.strict && notes) {
            return Ok(Exit::Finding);
        }
        Ok(Exit::Ok)
    }
}

const FINDINGS: &str = "Findings:
  MINT-ACCESS, MINT-BEARER  may call Mint of access.token.core, of bearer.token.core; a note with --allow-mint
  MINT-ANY                  may call Mint of a host that is known only at run time
  FOREIGN-SRC               may speak as another service
  PLANE-WILDCARD            reaches other planes
  MIXED-PLANES              names several planes
  SHARED                    all of a plane or of one tier of it, or a file that every service falls back to
  UNRESTRICTED              a list is missing, and the broker allows everything
  SUB-OTHER-DANGER          hears requests to port 666 of another service
  SUB-REPLY-OTHER           hears replies to another service
  OUTSIDE-BUS               reaches subjects that are none of the bus
  NO-EXP                    ends only when it is revoked (a note)
  EXPIRED, EXPIRES-SOON     its time is over, or is within 72 hours
  OVERSIZE                  too large for the broker's first line
  NAME-MISMATCH             file, name and subjects are not of one service
  DUPLICATE-KEY             another file has the same user key
  MODE                      others may read the file
  BAD-SIG, UNREADABLE       the JWT was changed; the file holds no credentials";
