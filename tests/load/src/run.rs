//! A whole run: workload after workload, and within each load the targets in turns.

use crate::arguments::Settings;
use crate::generator::LOST;
use crate::overload::{Overload, Round};
use crate::startup;
use crate::summary::{Line, Measurement, Results, Startup};
use crate::target::{Bed, Implementation, Shape, Target, Variant};
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
        overloads: Vec::new(),
    };
    for workload in Workload::all(&settings.only, &settings.claims) {
        progress(&format!("{}: building and starting", workload.title()))?;
        let mut field = field(&mut bed, workload, settings).await?;
        if !settings.overload.is_empty() {
            results.overloads.extend(field.flood(workload, settings)?);
            continue;
        }
        for callers in &settings.callers {
            let measurement = field.measure(workload, *callers, settings)?;
            results.measurements.push(measurement);
        }
        if settings.telemetry {
            // Else it was measured what nothing costs.
            bed.until_exported().await?;
        }
        let implementations = field.implementations;
        drop(field.targets);
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

/// What is measured beside each other.
struct Field {
    implementations: Vec<Implementation>,
    targets: Vec<Target>,
    /// How many of the first are compared with each of the others.
    compared: usize,
}

/// Starts all targets of a workload.
async fn field(
    bed: &mut Bed,
    workload: Workload,
    settings: &Settings,
) -> Result<Field, Box<dyn Error>> {
    let mut ours = bed.launch(&OURS, workload).await?;
    ours.until_ready()?;
    if settings.telemetry {
        let mut field = Field {
            implementations: Vec::new(),
            targets: Vec::new(),
            compared: Variant::WATCHED.len(),
        };
        for watched in Variant::WATCHED.map(Implementation::Ours) {
            field.join(watched, bed, workload).await?;
        }
        field.implementations.push(OURS);
        field.targets.push(ours);
        return Ok(field);
    }
    // Floors are made to look like ours.
    let seen = ours.shape()?;
    let shape = Shape {
        messages: settings.floor_messages,
        ..seen
    };
    let mut field = Field {
        implementations: vec![OURS],
        targets: vec![ours],
        compared: VARIANTS_OF_OURS,
    };
    let mut others = vec![Implementation::Ours(Variant::Acking)];
    others.extend(
        settings
            .targets
            .iter()
            .cloned()
            .map(Implementation::Foreign),
    );
    let kinds: &[bool] = if workload.operation.signs() {
        &[true, false]
    } else {
        &[false]
    };
    others.extend(kinds.iter().map(|signs| Implementation::Floor {
        signs: *signs,
        shape,
    }));
    for other in others {
        field.join(other, bed, workload).await?;
    }
    Ok(field)
}

impl Field {
    async fn join(
        &mut self,
        implementation: Implementation,
        bed: &mut Bed,
        workload: Workload,
    ) -> Result<(), Box<dyn Error>> {
        let mut target = bed.launch(&implementation, workload).await?;
        target.until_ready()?;
        self.implementations.push(implementation);
        self.targets.push(target);
        Ok(())
    }

    /// Measures all targets under one load, in turns; every other round goes backwards, so that nobody always comes after
    /// the same neighbour.
    fn measure(
        &mut self,
        workload: Workload,
        callers: u16,
        settings: &Settings,
    ) -> Result<Measurement, Box<dyn Error>> {
        let length = Duration::from_secs_f64(settings.seconds);
        let mut lines: Vec<_> = self
            .targets
            .iter()
            .map(|target| Line {
                name: target.name.clone(),
                ..Line::default()
            })
            .collect();
        for round in 0..settings.pairs {
            let mut turns: Vec<_> = self.targets.iter_mut().zip(&mut lines).collect();
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
        Ok(Measurement::new(workload, callers, lines, self.compared))
    }
}

impl Field {
    /// Measures how much each target still answers when it is offered more than it can do.
    fn flood(
        &mut self,
        workload: Workload,
        settings: &Settings,
    ) -> Result<Vec<Overload>, Box<dyn Error>> {
        let length = Duration::from_secs_f64(settings.seconds);
        let mut overloads = Vec::new();
        for (implementation, target) in self.implementations.iter().zip(&mut self.targets) {
            // Floors know no bounds.
            if matches!(implementation, Implementation::Floor { .. }) {
                continue;
            }
            for times in &settings.overload {
                let mut overload = Overload::new(workload, target.name.clone(), *times);
                for round in 1..=settings.pairs {
                    let best = target.measure(SATURATING, length)?.0.rate;
                    let (sample, window, offered) = target.flood(best * times, length)?;
                    let goodput = sample.rate;
                    overload.push(
                        Round {
                            best,
                            offered,
                            sample,
                        },
                        window.errors,
                    );
                    progress(&format!(
                        "{}, {times} times the best of {}, round {round}/{}: {goodput:.0}/s of {best:.0}/s",
                        workload.title(),
                        target.name,
                        settings.pairs
                    ))?;
                }
                overloads.push(overload);
            }
        }
        Ok(overloads)
    }
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

/// Callers in flight at which a target is at its best.
const SATURATING: u16 = 64;
/// As it comes, and acking.
const VARIANTS_OF_OURS: usize = 2;
/// As it comes: answers without acks.
const OURS: Implementation = Implementation::Ours(Variant::Plain);
