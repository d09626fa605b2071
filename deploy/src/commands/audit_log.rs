//! `audit-log`: whether the audit trail of an issuer is whole.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{print, print_json};
use clap::{Args, Subcommand};
use microbus_audit::{Broken, Digest, Follower, Verified};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::{Path, PathBuf};

/// Look after the audit trail of an issuer
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct AuditLog {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(Verify),
}

/// Tell whether a line of a chained trail was removed, changed or moved
///
/// Follows the links that an issuer writes into a chained trail, through all files in the order given, the oldest first. Whoever
/// can write the files can also write a whole new chain: keep the last digest elsewhere, and pass it as --head the next time.
/// Lines that were written since may follow it.
///
/// Ends with 0 when the trail is whole, 1 when it is not, 5 when there is no line to tell by.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
struct Verify {
    /// Files of one trail, the oldest first; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Digest of the line before the first; 64 zeros where that is the first of all
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    after: Option<Digest>,
    /// Digest that the last line had when it was noted
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    head: Option<Digest>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of a trail.
enum Outcome {
    Whole(Verified),
    /// Where it is broken, with the file and the line's number there.
    Broken(PathBuf, Broken),
    /// No line has the digest that was noted.
    NoSuchHead(Digest),
    Empty,
}

impl AuditLog {
    /// # Errors
    /// [`Failure`] when a file cannot be read.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let Verb::Verify(verify) = self.verb;
        let outcome = verify.judge()?;
        let exit = match &outcome {
            Outcome::Whole(_) => Exit::Ok,
            Outcome::Broken(..) | Outcome::NoSuchHead(_) => Exit::Finding,
            Outcome::Empty => Exit::Unknown,
        };
        if verify.json {
            print_json(&as_json(&outcome))?;
        } else {
            print(&as_text(&outcome))?;
        }
        Ok(exit)
    }
}

impl Verify {
    fn judge(&self) -> Result<Outcome, Failure> {
        let mut whole = Verified {
            lines: 0,
            follows: None,
            head: self.after,
            torn: Vec::new(),
        };
        let mut missing = self.head;
        for path in &self.files {
            let verified = match follow(path, whole.head, &mut missing)? {
                Ok(verified) => verified,
                Err(broken) => return Ok(Outcome::Broken(path.clone(), broken)),
            };
            let before = whole.lines;
            let torn = verified.torn.iter().map(|line| line.saturating_add(before));
            whole.torn.extend(torn);
            whole.lines = whole.lines.saturating_add(verified.lines);
            whole.follows = whole.follows.or(verified.follows);
            whole.head = verified.head.or(whole.head);
        }
        Ok(match missing {
            _ if whole.lines == 0 => Outcome::Empty,
            Some(head) => Outcome::NoSuchHead(head),
            None => Outcome::Whole(whole),
        })
    }
}

/// Follows the links in one file, however long; `missing` is none any more once a line with that digest was met.
fn follow(
    path: &Path,
    after: Option<Digest>,
    missing: &mut Option<Digest>,
) -> Result<Result<Verified, Broken>, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::caused(Exit::Configuration, path.display(), &error);
    let lines: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).map_err(unreadable)?))
    };
    let mut follower = Follower::new(after);
    for line in lines.split(b'\n') {
        let line = line.map_err(unreadable)?;
        if let Err(broken) = follower.follow(&line) {
            return Ok(Err(broken));
        }
        missing.take_if(|head| *head == Digest::of(&line));
    }
    Ok(Ok(follower.end()))
}

fn as_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Whole(Verified {
            lines,
            follows,
            head,
            torn,
        }) => {
            let digest = |digest: &Option<Digest>| {
                digest.map_or_else(|| "unknown".to_owned(), |digest| digest.to_string())
            };
            let mut text = format!(
                "whole: {lines} lines\n  after  {}\n  head   {}\n",
                digest(follows),
                digest(head)
            );
            if !torn.is_empty() {
                let torn: Vec<_> = torn.iter().map(ToString::to_string).collect();
                text.push_str(&format!(
                    "  torn   line {}, as a power failure leaves it\n",
                    torn.join(", ")
                ));
            }
            text
        }
        Outcome::Broken(path, broken) => format!("broken: {}: {broken}\n", path.display()),
        Outcome::NoSuchHead(head) => {
            format!("broken: no line has the digest {head}: it and what followed it were cut off\n")
        }
        Outcome::Empty => "could not tell: there is no line\n".to_owned(),
    }
}

fn as_json(outcome: &Outcome) -> serde_json::Value {
    let text = |digest: &Option<Digest>| digest.map(|digest| digest.to_string());
    match outcome {
        Outcome::Whole(whole) => json!({
            "verdict": "whole",
            "lines": whole.lines,
            "after": text(&whole.follows),
            "head": text(&whole.head),
            "torn": whole.torn,
        }),
        Outcome::Broken(path, broken) => json!({
            "verdict": "broken",
            "file": path,
            "why": broken.to_string(),
        }),
        Outcome::NoSuchHead(head) => json!({
            "verdict": "broken",
            "why": format!("no line has the digest {head}"),
        }),
        Outcome::Empty => json!({ "verdict": "unknown" }),
    }
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).ok_or_else(|| "a digest is 64 hex digits".to_owned())
}

const EXAMPLES: &str = "\
Examples:
  A trail from its very beginning, of which one file was rotated away:
    microbus-deploy audit-log verify audit.jsonl.1 audit.jsonl
  The same, compared with the digest that was kept elsewhere:
    microbus-deploy audit-log verify --head \"$DIGEST\" audit.jsonl";
