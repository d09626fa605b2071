//! Results as Markdown.

use crate::overload::Overload;
use crate::summary::{Line, Measurement, Ratio, Results};
use std::collections::BTreeMap;

/// Returns two tables, of medians and of ratios, and a third of starts if there were any.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = format!(
        "{} cores; {} rounds of {} s each; medians.\n\n",
        results.cores, results.rounds, results.seconds
    );
    if !results.overloads.is_empty() {
        text.push_str(&overload_table(&results.overloads));
        return text;
    }
    text.push_str(
        "| load | in flight | target | requests/s | p50 µs | p99 µs | p99.9 µs | errors | CPU ms/1000 | \
         broker CPU | generator CPU | memory MiB | messages |\n\
         |---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for measurement in &results.measurements {
        for line in &measurement.lines {
            text.push_str(&line_row(measurement, line));
        }
    }
    text.push_str(
        "\nRatios are medians over the rounds, each within its round.\n\n\
         | load | in flight | ratio | rate | lowest to highest | p50 | p99 | CPU | memory |\n\
         |---|--:|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for measurement in &results.measurements {
        for ratio in &measurement.ratios {
            text.push_str(&ratio_row(measurement, ratio));
        }
    }
    if !results.startups.is_empty() {
        text.push_str(
            "\n| start | target | first token ms | idle memory MiB |\n|---|---|--:|--:|\n",
        );
    }
    for startup in &results.startups {
        text.push_str(&format!(
            "| {} | {} | {:.1} | {:.1} |\n",
            startup.operation.title(),
            startup.name,
            startup.first_token,
            startup.idle_memory
        ));
    }
    text
}

/// Returns a table of what was offered and what came back, as shares of the best rate.
fn overload_table(overloads: &[Overload]) -> String {
    let mut text = "| load | target | offered | goodput | goodput/s | p50 ms | p99 ms | not answered with 200 |\n\
                    |---|---|--:|--:|--:|--:|--:|---|\n"
        .to_owned();
    for overload in overloads {
        let median = &overload.median;
        text.push_str(&format!(
            "| {} | {} | {:.2} | {:.2} | {:.0} | {:.1} | {:.1} | {} |\n",
            overload.workload.title(),
            overload.name,
            overload.offered,
            overload.goodput,
            median.rate,
            median.p50 / 1e3,
            median.p99 / 1e3,
            errors_text(&overload.errors)
        ));
    }
    text
}

fn line_row(measurement: &Measurement, line: &Line) -> String {
    let median = &line.median;
    format!(
        "| {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} |\n",
        measurement.workload.title(),
        measurement.callers,
        line.name,
        median.rate,
        median.p50,
        median.p99,
        median.p999,
        errors_text(&line.errors),
        median.cpu,
        median.broker_cpu,
        median.generator_cpu,
        median.memory,
        median.messages
    )
}

fn ratio_row(measurement: &Measurement, ratio: &Ratio) -> String {
    let median = &ratio.median;
    let [least, most] = ratio.rate_range;
    format!(
        "| {} | {} | {} / {} | {:.2} | {least:.2} to {most:.2} | {:.2} | {:.2} | {:.2} | {:.2} |\n",
        measurement.workload.title(),
        measurement.callers,
        ratio.of,
        ratio.to,
        median.rate,
        median.p50,
        median.p99,
        median.cpu,
        median.memory
    )
}

/// Returns the number of errors of all rounds with their statuses, such as `3 (503: 3)`.
pub(crate) fn errors_text(errors: &BTreeMap<u16, u64>) -> String {
    let total: u64 = errors.values().sum();
    if total == 0 {
        return "0".to_owned();
    }
    let each = errors.iter().map(|(status, count)| match status {
        0 => format!("unanswered: {count}"),
        status => format!("{status}: {count}"),
    });
    format!("{total} ({})", each.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::results;

    #[test]
    fn every_target_and_every_ratio_has_a_row_of_its_own() {
        let mut results = results(&[80.0, 90.0, 70.0], &[100.0, 100.0, 100.0]);
        results.overloads.clear();
        let text = markdown(&results);
        assert!(
            text.contains("| access Mint, 200 B | 64 | ours | 80 | 120 | 900 |"),
            "{text}"
        );
        assert!(text.contains("| access Mint, 200 B | 1 | ours / other | 0.80 | 0.70 to 0.90 |"));
        assert!(text.contains("| access Mint | ours | 25.0 | 8.0 |"));
        for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
            let columns = |row: &str| row.matches('|').count();
            let mut rows = table.lines();
            let head = columns(rows.next().unwrap());
            assert!(rows.all(|row| columns(row) == head), "{table}");
        }
    }

    #[test]
    fn errors_are_told_by_status_and_silence_is_one() {
        assert_eq!(errors_text(&BTreeMap::new()), "0");
        let errors = BTreeMap::from([(0, 2), (503, 7)]);
        assert_eq!(errors_text(&errors), "9 (unanswered: 2, 503: 7)");
    }
}
