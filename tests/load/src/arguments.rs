//! The command line.

use crate::workload::Operation;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::str::FromStr;

/// Measures access.token.core and bearer.token.core over a real nats-server, beside an echo floor and a signing floor.
///
/// Progress goes to standard error, a Markdown table to standard output.
#[derive(Debug, Parser)]
#[command(name = "load", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Load {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answers requests with a constant, as a floor
    #[command(hide = true)]
    Respond(Respond),
}

/// What to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Settings {
    /// Operations to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Operation::ALL)]
    pub(crate) only: Vec<Operation>,
    /// Callers in flight, each with its next request as soon as its last is answered
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64, 256],
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) callers: Vec<u16>,
    /// Sizes of the claims of a mint, in bytes of JSON
    #[arg(long, value_delimiter = ',', default_values_t = [200, 4096],
        value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub(crate) claims: Vec<u32>,
    /// Rounds; in each, every target is measured once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) pairs: u16,
    /// Length of one measurement, after a warm-up of a third of it
    #[arg(long, default_value_t = 0.5, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Another implementation: a simple command for sh that finds credentials in its working directory and
    /// `MICROBUS_NATS`, `MICROBUS_PLANE` in its environment; {host} becomes the host name of the issuer. May be repeated
    #[arg(long = "target", value_name = "NAME=COMMAND")]
    pub(crate) targets: Vec<Foreign>,
    /// Messages that the floors answer each request with: 1 the answer, 2 an ack before it
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) floor_messages: u8,
    /// Instead of floors and others, measure what the audit trail and traces cost: ours with each of them over ours without
    #[arg(long, conflicts_with_all = ["targets", "floor_messages", "startup"])]
    pub(crate) telemetry: bool,
    /// Also measure the time from process start to the first token, and the memory after it
    #[arg(long)]
    pub(crate) startup: bool,
    /// Offer ours and other implementations this many times their best rate, instead of keeping callers in flight
    #[arg(long, value_name = "TIMES", value_delimiter = ',', num_args = 0.., default_missing_value = "2",
        value_parser = times)]
    pub(crate) overload: Vec<f64>,
    /// Print JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a self-contained page with plots
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
}

/// What a floor is told; it never parses a request to find out.
#[derive(Clone, Debug, Args)]
pub(crate) struct Respond {
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    pub(crate) plane: String,
    /// Subject pattern of the requests
    #[arg(long)]
    pub(crate) pattern: String,
    /// Host name to answer as
    #[arg(long)]
    pub(crate) host: String,
    /// Messages per answer
    #[arg(long)]
    pub(crate) messages: u8,
    /// Length of the answer, headers included
    #[arg(long)]
    pub(crate) answer_bytes: usize,
    /// Length of the text that is signed for each answer; 0 for no signature
    #[arg(long)]
    pub(crate) sign_bytes: usize,
}

/// An implementation that somebody else built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// How the report calls it.
    pub(crate) name: String,
    /// What starts it.
    pub(crate) command: String,
}

impl FromStr for Foreign {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, command)) if !name.is_empty() && !command.is_empty() => Ok(Self {
                name: name.to_owned(),
                command: command.to_owned(),
            }),
            _ => Err("a target is NAME=COMMAND"),
        }
    }
}

/// Bounded, because a run has pairs × targets × callers × workloads of them.
fn seconds(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(seconds) if (0.05..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("a measurement takes 0.05 to 60 seconds"),
    }
}

fn times(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(times) if (0.1..=20.0).contains(&times) => Ok(times),
        _ => Err("an overload is 0.1 to 20 times the best rate"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_whole_measurement() {
        let settings = Load::try_parse_from(["load"]).unwrap().settings;
        assert_eq!(settings.only, Operation::ALL);
        assert_eq!(settings.callers, [1, 8, 64, 256]);
        assert_eq!((settings.claims, settings.pairs), (vec![200, 4096], 5));
    }

    #[test]
    fn a_target_is_a_name_and_a_command_with_arguments() {
        let foreign: Foreign = "go=/opt/{host} --flag=1".parse().unwrap();
        assert_eq!(foreign.name, "go");
        assert_eq!(foreign.command, "/opt/{host} --flag=1");
        assert!("go".parse::<Foreign>().is_err() && "=x".parse::<Foreign>().is_err());
    }

    #[test]
    fn work_is_bounded() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        assert!(seconds("0").is_err() && seconds("1e9").is_err() && seconds("NaN").is_err());
        assert!(Load::try_parse_from(["load", "--callers", "100000"]).is_err());
    }
}
