//! What a run found out: medians of the rounds, and ratios between targets of the same round.

use crate::overload::Overload;
use crate::sample::{Sample, median};
use crate::workload::{Operation, Workload};
use serde::Serialize;
use std::collections::BTreeMap;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// Logical processors, shared by the targets, the broker, the generator and whatever else runs.
    pub(crate) cores: usize,
    pub(crate) rounds: u16,
    /// Length of one measurement.
    pub(crate) seconds: f64,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) startups: Vec<Startup>,
    pub(crate) overloads: Vec<Overload>,
}

/// All targets under one load.
#[derive(Debug, Serialize)]
pub(crate) struct Measurement {
    #[serde(flatten)]
    pub(crate) workload: Workload,
    pub(crate) callers: u16,
    pub(crate) lines: Vec<Line>,
    pub(crate) ratios: Vec<Ratio>,
}

/// One target under one load.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) median: Sample,
    /// Requests of all rounds that were not answered with 200, by status; 0 for those never answered.
    pub(crate) errors: BTreeMap<u16, u64>,
    pub(crate) rounds: Vec<Sample>,
}

/// One of ours over another target.
#[derive(Debug, Serialize)]
pub(crate) struct Ratio {
    pub(crate) of: String,
    pub(crate) to: String,
    /// The median of the ratios of the rounds, field by field.
    pub(crate) median: Sample,
    /// The lowest and the highest ratio of rates.
    pub(crate) rate_range: [f64; 2],
}

/// How a target starts.
#[derive(Debug, Serialize)]
pub(crate) struct Startup {
    pub(crate) operation: Operation,
    pub(crate) name: String,
    /// From making the process to its first token, in milliseconds: the median.
    pub(crate) first_token: f64,
    /// Resident memory at rest after the first token, in MiB: the median.
    pub(crate) idle_memory: f64,
}

impl Measurement {
    /// Completes the lines with their medians and compares each of the first `ours` with each of the others.
    pub(crate) fn new(workload: Workload, callers: u16, mut lines: Vec<Line>, ours: usize) -> Self {
        for line in &mut lines {
            line.median = Sample::median(&line.rounds);
        }
        let (ours, others) = lines.split_at(ours.min(lines.len()));
        let ratios = ours
            .iter()
            .flat_map(|one| others.iter().map(|other| Ratio::new(one, other)))
            .collect();
        Self {
            workload,
            callers,
            lines,
            ratios,
        }
    }
}

impl Ratio {
    fn new(of: &Line, to: &Line) -> Self {
        let pairs = of.rounds.iter().zip(&to.rounds);
        let ratios: Vec<_> = pairs.map(|(of, to)| of.ratio(to)).collect();
        let rates = || ratios.iter().map(|ratio| ratio.rate);
        Self {
            of: of.name.clone(),
            to: to.name.clone(),
            median: Sample::median(&ratios),
            rate_range: [
                rates().min_by(f64::total_cmp).unwrap_or(0.0),
                rates().max_by(f64::total_cmp).unwrap_or(0.0),
            ],
        }
    }
}

impl Startup {
    /// Summarises starts, each with milliseconds to the first token and MiB after it.
    pub(crate) fn new(operation: Operation, name: String, starts: &[(f64, f64)]) -> Self {
        Self {
            operation,
            name,
            first_token: median(starts.iter().map(|(time, _)| *time)),
            idle_memory: median(starts.iter().map(|(_, memory)| *memory)),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Makes results with two targets, `ours` and `other`, whose rates per round are given.
    pub(crate) fn results(ours: &[f64], other: &[f64]) -> Results {
        let workload = Workload {
            operation: Operation::AccessMint,
            claims: 200,
        };
        let line = |name: &str, rates: &[f64]| Line {
            name: name.to_owned(),
            rounds: rates
                .iter()
                .map(|rate| Sample {
                    rate: *rate,
                    p50: 120.0,
                    p99: 900.0,
                    cpu: 12.0,
                    ..Sample::default()
                })
                .collect(),
            ..Line::default()
        };
        let measure = |callers| {
            Measurement::new(
                workload,
                callers,
                vec![line("ours", ours), line("other", other)],
                1,
            )
        };
        Results {
            cores: 2,
            rounds: 3,
            seconds: 0.5,
            measurements: vec![measure(1), measure(64)],
            startups: vec![Startup::new(
                workload.operation,
                "ours".to_owned(),
                &[(20.0, 7.0), (30.0, 9.0), (25.0, 8.0)],
            )],
            overloads: vec![Overload::new(workload, "ours".to_owned(), 2.0)],
        }
    }

    #[test]
    fn a_ratio_compares_rounds_and_not_medians() {
        // The machine was slow in the second round, for both.
        let results = results(&[80.0, 8.0, 90.0], &[100.0, 10.0, 100.0]);
        let ratio = &results.measurements[0].ratios[0];
        assert_eq!((ratio.of.as_str(), ratio.to.as_str()), ("ours", "other"));
        assert_eq!(ratio.median.rate, 0.8);
        assert_eq!(ratio.rate_range, [0.8, 0.9]);
        assert_eq!(results.measurements[0].lines[0].median.rate, 80.0);
    }

    #[test]
    fn a_start_is_summarised_by_medians() {
        let startup = &results(&[1.0], &[1.0]).startups[0];
        assert_eq!((startup.first_token, startup.idle_memory), (25.0, 8.0));
    }
}
