//! Measures issuers over a real nats-server: rate, latency, CPU and memory, beside floors and other implementations.
//!
//! Targets alternate within one run, so that what else the machine does hits all of them, and only ratios of neighbours
//! are claimed. The generator speaks the bus by hand over one blocking socket per target, because on a small machine
//! whatever it costs is taken from what it measures; it reports its own CPU for that reason.

mod arguments;
mod collector;
mod connection;
mod floor;
mod generator;
mod overload;
mod process;
mod report;
mod request;
mod run;
mod sample;
mod startup;
mod summary;
mod table;
mod target;
mod workload;

use arguments::{Command, Load};
use clap::Parser as _;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use tokio::runtime;

fn main() -> Result<(), Box<dyn Error>> {
    let load = Load::parse();
    if let Some(Command::Respond(respond)) = load.command {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        return runtime.block_on(floor::respond(respond));
    }
    // Measuring blocks this thread; the other one answers the config fetches of services that start.
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let results = runtime.block_on(run::run(&load.settings))?;
    let text = if load.settings.json {
        serde_json::to_string_pretty(&results)?
    } else {
        table::markdown(&results)
    };
    writeln!(std::io::stdout(), "{text}")?;
    if let Some(path) = &load.settings.report {
        fs::write(path, report::html(&results))?;
    }
    Ok(())
}
