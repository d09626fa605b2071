//! A whole run: workload after workload, and within each load the targets in turns.

use crate::arguments::Settings;
use crate::generator::LOST;
use crate::startup;
use crate::summary::{Line, Measurement, Results, Startup};
use crate::target::{Bed, Implementation, Shape, Target};
use crate::workload::Workload;
use std::error::Error;
use std::io::{self, Write as _};
use std::time::Duration;

/// Measures everything that the settings ask for.
///
/// # Errors
/// When a target does not start or a connection is lost. Requests that fail are counted, not errors.
pub(crate) async fn run(settings: &Settings) -> Result<Results, Box<dyn Error>> {
    let mut bed = Bed::start().await?;
    let mut results = Results {
        cores: std::thread::available_parallelism()?.get(),
        rounds: settings.pairs,
        seconds: settings.seconds,
        measurements: Vec::new(),
        startups: Vec::new(),
    };
    for workload in Workload::all(&settings.only, &settings.claims) {
        progress(&format!("{}: starting", workload.title()))?;
        let (implementations, mut targets) = field(&mut bed, workload, settings).await?;
        for callers in &settings.callers {
            let measurement = measure(&mut targets, workload, *callers, settings)?;
            results.measurements.push(measurement);
        }
        drop(targets);
        let measured = |startup: &Startup| startup.operation == workload.operation;
        // The size of claims has no part in a start.
        if settings.startup && workload.operation.signs() && !results.startups.iter().any(measured)
        {
            let starts = startup::measure(&mut bed, &implementations, workload, settings.pairs);
            results.startups.extend(starts.await?);
        }
    }
    Ok(results)
}

/// Starts all targets of a workload, ours first; floors are made to look like ours.
async fn field(
    bed: &mut Bed,
    workload: Workload,
    settings: &Settings,
) -> Result<(Vec<Implementation>, Vec<Target>), Box<dyn Error>> {
    let mut ours = bed.launch(&OURS, workload).await?;
    ours.until_ready()?;
    let seen = ours.shape()?;
    let shape = Shape {
        messages: settings.floor_messages,
        ..seen
    };
    let foreign = settings.targets.iter().cloned();
    let mut others = vec![Implementation::Ours { acks: true }];
    others.extend(foreign.map(Implementation::Foreign));
    if workload.operation.signs() {
        others.push(Implementation::Floor { signs: true, shape });
    }
    others.push(Implementation::Floor {
        signs: false,
        shape,
    });
    let mut targets = vec![ours];
    for other in &others {
        let mut target = bed.launch(other, workload).await?;
        target.until_ready()?;
        targets.push(target);
    }
    others.insert(0, OURS);
    Ok((others, targets))
}

/// Measures all targets under one load, in turns; every other round goes backwards, so that nobody always comes after
/// the same neighbour.
fn measure(
    targets: &mut [Target],
    workload: Workload,
    callers: u16,
    settings: &Settings,
) -> Result<Measurement, Box<dyn Error>> {
    let length = Duration::from_secs_f64(settings.seconds);
    let mut lines: Vec<_> = targets
        .iter()
        .map(|target| Line {
            name: target.name.clone(),
            ..Line::default()
        })
        .collect();
    for round in 0..settings.pairs {
        let mut turns: Vec<_> = targets.iter_mut().zip(&mut lines).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (target, line) in turns {
            let (sample, window) = target.measure(callers, length)?;
            line.rounds.push(sample);
            for (status, count) in window.errors {
                *line.errors.entry(status).or_default() += count;
            }
        }
        progress(&format!(
            "{}, {callers} in flight, round {}/{}: {}",
            workload.title(),
            round + 1,
            settings.pairs,
            standing(&lines)
        ))?;
    }
    Ok(Measurement::new(workload, callers, lines, VARIANTS_OF_OURS))
}

fn standing(lines: &[Line]) -> String {
    let each = lines.iter().map(|line| {
        let rate = line.rounds.last().map_or(0.0, |sample| sample.rate);
        let lost = line.errors.get(&LOST).copied().unwrap_or(0);
        let errors: u64 = line.errors.values().sum();
        match errors {
            0 => format!("{} {rate:.0}/s", line.name),
            _ => format!(
                "{} {rate:.0}/s ({errors} errors, {lost} unanswered)",
                line.name
            ),
        }
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Writes a line about the run to standard error.
///
/// # Errors
/// When standard error is closed.
pub(crate) fn progress(line: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{line}")
}

/// As it comes, and acking.
const VARIANTS_OF_OURS: usize = 2;
/// As it comes: answers without acks.
const OURS: Implementation = Implementation::Ours { acks: false };
