//! One measurement as numbers, and the arithmetic on many of them.

use crate::generator::Window;
use serde::Serialize;
use std::time::Duration;

/// What one target did in one window; or a median or a ratio of such, field by field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// Requests answered with 200, per second.
    pub(crate) rate: f64,
    /// Latencies in microseconds: the median, and what 99 and 99.9 of 100 requests stay within.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// CPU time of the target in milliseconds per 1000 requests, which is microseconds per request.
    pub(crate) cpu: f64,
    /// The same of the broker and of the generator, which share the machine.
    pub(crate) broker_cpu: f64,
    pub(crate) generator_cpu: f64,
    /// Resident memory of the target after the window, in MiB.
    pub(crate) memory: f64,
    /// Messages that arrived per request.
    pub(crate) messages: f64,
}

/// CPU time that was used in a window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) target: Duration,
    pub(crate) broker: Duration,
    pub(crate) generator: Duration,
}

impl Sample {
    /// Makes numbers of a window; `resident` is in bytes.
    pub(crate) fn new(window: &Window, cpu: Cpu, resident: u64) -> Self {
        let mut latencies = window.latencies.clone();
        latencies.sort_unstable();
        let refused: u64 = window.errors.values().sum();
        let answered = number(latencies.len() as u64 + refused);
        let microseconds = |share| number(percentile(&latencies, share)) / 1e3;
        let each = |time: Duration| quotient(time.as_secs_f64() * 1e6, answered);
        Self {
            rate: quotient(number(latencies.len() as u64), window.elapsed.as_secs_f64()),
            p50: microseconds(500),
            p99: microseconds(990),
            p999: microseconds(999),
            cpu: each(cpu.target),
            broker_cpu: each(cpu.broker),
            generator_cpu: each(cpu.generator),
            memory: number(resident) / MEBIBYTE,
            messages: quotient(number(window.messages), answered),
        }
    }

    /// Returns the median of each field; zeros for no samples.
    pub(crate) fn median(samples: &[Self]) -> Self {
        let fields: Vec<_> = samples.iter().map(Self::fields).collect();
        Self::from_fields(|field| {
            median(
                fields
                    .iter()
                    .filter_map(|values| values.get(field).copied()),
            )
        })
    }

    /// Returns the ratio of each field; 0 where `other` is 0.
    pub(crate) fn ratio(&self, other: &Self) -> Self {
        let (ours, theirs) = (self.fields(), other.fields());
        Self::from_fields(|field| match (ours.get(field), theirs.get(field)) {
            (Some(ours), Some(theirs)) => quotient(*ours, *theirs),
            _ => 0.0,
        })
    }

    fn fields(&self) -> [f64; 9] {
        [
            self.rate,
            self.p50,
            self.p99,
            self.p999,
            self.cpu,
            self.broker_cpu,
            self.generator_cpu,
            self.memory,
            self.messages,
        ]
    }

    fn from_fields(field: impl Fn(usize) -> f64) -> Self {
        Self {
            rate: field(0),
            p50: field(1),
            p99: field(2),
            p999: field(3),
            cpu: field(4),
            broker_cpu: field(5),
            generator_cpu: field(6),
            memory: field(7),
            messages: field(8),
        }
    }
}

/// Returns the median; the mean of the middle two of an even count, 0 of none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or(0.0);
    if values.len() % 2 == 1 {
        return upper;
    }
    let lower = values.get(middle.wrapping_sub(1)).copied().unwrap_or(0.0);
    (lower + upper) / 2.0
}

/// Returns the least of the sorted values that `share` of 1000 do not exceed; 0 of none.
fn percentile(sorted: &[u64], share: usize) -> u64 {
    let rank = (sorted.len() * share).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

fn quotient(dividend: f64, divisor: f64) -> f64 {
    if divisor == 0.0 {
        0.0
    } else {
        dividend / divisor
    }
}

/// Returns the number as a float; counts and times of a run are far below 2^53, where it is exact.
fn number(count: u64) -> f64 {
    count as f64
}

pub(crate) const MEBIBYTE: f64 = 1_048_576.0;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let sorted: Vec<u64> = (1..=1000).collect();
        assert_eq!(percentile(&sorted, 500), 500);
        assert_eq!(percentile(&sorted, 990), 990);
        assert_eq!(percentile(&sorted, 999), 999);
        assert_eq!(percentile(&[7], 999), 7);
        assert_eq!(percentile(&[], 500), 0);
    }

    #[test]
    fn a_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }

    #[test]
    fn a_window_becomes_rates_per_second_and_costs_per_request() {
        let window = Window {
            latencies: vec![3000, 1000, 2000],
            messages: 8,
            errors: BTreeMap::from([(503, 1)]),
            elapsed: Duration::from_millis(500),
        };
        let cpu = Cpu {
            target: Duration::from_micros(40),
            ..Cpu::default()
        };
        let sample = Sample::new(&window, cpu, 3 << 20);
        assert_eq!((sample.rate, sample.p50, sample.p999), (6.0, 2.0, 3.0));
        assert_eq!(
            (sample.cpu, sample.messages, sample.memory),
            (10.0, 2.0, 3.0)
        );
    }

    #[test]
    fn medians_and_ratios_go_field_by_field() {
        let sample = |rate, p50| Sample {
            rate,
            p50,
            ..Sample::default()
        };
        let middle = Sample::median(&[sample(1.0, 9.0), sample(3.0, 7.0), sample(2.0, 8.0)]);
        assert_eq!((middle.rate, middle.p50, middle.messages), (2.0, 8.0, 0.0));
        let ratio = sample(6.0, 1.0).ratio(&sample(3.0, 0.0));
        assert_eq!((ratio.rate, ratio.p50), (2.0, 0.0));
    }
}
