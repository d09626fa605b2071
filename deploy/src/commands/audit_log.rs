//! `audit-log`: what an issuer wrote down of its decisions to mint.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::{print, print_json};
use clap::{Args, Subcommand};
use microbus_audit::{Digest, verify};
use serde_json::json;
use std::path::PathBuf;

/// Look into the audit trail of an issuer
///
/// Example: microbus-deploy audit-log verify /var/log/microbus/access-token.jsonl
#[derive(Debug, Args)]
pub(crate) struct AuditLog {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(Verify),
}

/// Follow the links of a trail that was written with `AuditChain`, and tell whether a line was changed, moved or removed
///
/// Whoever can write the file can write a whole new chain, and cut lines off its end: note the digest of the last line elsewhere,
/// and give it as --head later. With rotated files, the head of one is --after of the next.
///
/// Ends with 0 when the chain holds, 1 when it does not.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
struct Verify {
    /// The trail, oldest line first; - for standard input
    file: PathBuf,
    /// Digest that the first line must follow: the head of the file before, or `start` for the first line of all
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    after: Option<Digest>,
    /// Digest that the last line had when it was noted; lines written since may follow it
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    head: Option<Digest>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl AuditLog {
    /// # Errors
    /// [`Failure`] when the file cannot be read, or the chain is broken.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self.verb {
            Verb::Verify(verify) => verify.run(),
        }
    }
}

impl Verify {
    fn run(self) -> Result<Exit, Failure> {
        let trail = files::read_text(&self.file)?;
        let place = self.file.display();
        let verified = verify(trail.as_bytes(), self.after)
            .map_err(|broken| Failure::caused(Exit::Finding, &place, &broken))?;
        if let Some(head) = self.head
            && !trail
                .lines()
                .any(|line| Digest::of(line.as_bytes()) == head)
        {
            let reason = format!(
                "{place}: no line has the digest {head}: it and what followed it were cut off"
            );
            return Err(Failure::new(Exit::Finding, reason));
        }
        let shown = |digest: Option<Digest>| digest.map(|digest| digest.to_string());
        let (follows, head) = (shown(verified.follows), shown(verified.head));
        if self.json {
            let json = json!({"lines": verified.lines, "follows": follows, "head": head, "torn": verified.torn});
            print_json(&json)?;
            return Ok(Exit::Ok);
        }
        let mut text = format!("{} lines, each follows the one before it\n", verified.lines);
        text.extend(follows.map(|digest| format!("first line follows  {digest}\n")));
        text.extend(head.map(|digest| format!("head                {digest}\n")));
        for line in verified.torn {
            text.push_str(&format!("line {line} is not whole, as a power failure leaves it; the next one follows what is left\n"));
        }
        print(&text)?;
        Ok(Exit::Ok)
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    if text == "start" {
        return Ok(Digest::default());
    }
    Digest::parse(text).ok_or_else(|| "write 64 hexadecimal digits, or start".to_owned())
}

const EXAMPLES: &str = "\
Examples:
  The whole trail, from its first line:
    microbus-deploy audit-log verify access-token.jsonl --after start
  The file after a rotated one, up to a head that was noted yesterday:
    microbus-deploy audit-log verify access-token.jsonl --after 9f86…0a08 --head 60303…e79";
