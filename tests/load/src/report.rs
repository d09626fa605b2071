//! Results as one HTML page that needs nothing else: plots for people, tables for who wants the numbers.

mod plot;

use crate::sample::Sample;
use crate::summary::{Measurement, Results};
use crate::table::errors_text;
use plot::{Plot, Scale, Series};

/// Returns the page.
pub(crate) fn html(results: &Results) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Token issuers under load</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>Token issuers under load</h1>\n\
         <p>Over a real nats-server, on {} cores that the targets, the broker and the generator share. Medians of {} \
         rounds of {} s; the targets take turns within each round.</p>\n",
        results.cores, results.rounds, results.seconds
    );
    // One workload's measurements follow each other.
    let loads = results
        .measurements
        .chunk_by(|one, next| one.workload == next.workload);
    for measurements in loads {
        page.push_str(&section(measurements));
    }
    page.push_str(&startups(results));
    page.push_str("</body>\n</html>\n");
    page
}

/// One of the plots that each workload gets.
struct Kind {
    title: &'static str,
    unit: &'static str,
    scale: Scale,
    value: fn(&Sample) -> f64,
}

fn section(measurements: &[Measurement]) -> String {
    let Some(first) = measurements.first() else {
        return String::new();
    };
    let mut text = format!("<section>\n<h2>{}</h2>\n", first.workload.title());
    text.push_str("<ul class=\"legend\">");
    for (place, line) in first.lines.iter().enumerate() {
        text.push_str(&format!(
            "<li class=\"s{}\">{}</li>",
            place % COLOURS,
            escape(&line.name)
        ));
    }
    text.push_str("</ul>\n<div class=\"plots\">\n");
    for kind in &KINDS {
        let plot = Plot {
            title: kind.title,
            unit: kind.unit,
            scale: kind.scale,
            callers: measurements.iter().map(|each| each.callers).collect(),
            series: series(measurements, kind.value),
        };
        text.push_str(&plot.svg());
    }
    text.push_str("</div>\n");
    text.push_str(&numbers(measurements));
    text.push_str("</section>\n");
    text
}

fn series(measurements: &[Measurement], value: fn(&Sample) -> f64) -> Vec<Series> {
    let names = measurements.first().map(|first| first.lines.iter());
    let each = names.into_iter().flatten().enumerate();
    each.map(|(place, line)| Series {
        name: line.name.clone(),
        class: place % COLOURS,
        values: measurements
            .iter()
            .filter_map(|measurement| measurement.lines.get(place))
            .map(|line| value(&line.median))
            .collect(),
    })
    .collect()
}

fn numbers(measurements: &[Measurement]) -> String {
    let mut text = "<details><summary>Numbers</summary>\n<table>\n<tr><th>in flight<th>target<th>requests/s<th>p50 µs\
         <th>p99 µs<th>p99.9 µs<th>errors<th>CPU ms/1000<th>memory MiB<th>messages</tr>\n"
        .to_owned();
    for measurement in measurements {
        for line in &measurement.lines {
            let median = &line.median;
            text.push_str(&format!(
                "<tr><td>{}<td class=\"name\">{}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0}<td>{}<td>{:.1}<td>{:.1}<td>{:.2}</tr>\n",
                measurement.callers,
                escape(&line.name),
                median.rate,
                median.p50,
                median.p99,
                median.p999,
                errors_text(&line.errors),
                median.cpu,
                median.memory,
                median.messages
            ));
        }
    }
    text.push_str(
        "</table>\n<table>\n<tr><th>in flight<th>ratio<th>rate<th>lowest to highest<th>p50<th>p99<th>CPU<th>memory</tr>\n",
    );
    for measurement in measurements {
        for ratio in &measurement.ratios {
            let median = &ratio.median;
            let [least, most] = ratio.rate_range;
            text.push_str(&format!(
                "<tr><td>{}<td class=\"name\">{} / {}<td>{:.2}<td>{least:.2} to {most:.2}<td>{:.2}<td>{:.2}<td>{:.2}<td>{:.2}</tr>\n",
                measurement.callers,
                escape(&ratio.of),
                escape(&ratio.to),
                median.rate,
                median.p50,
                median.p99,
                median.cpu,
                median.memory
            ));
        }
    }
    text.push_str("</table></details>\n");
    text
}

fn startups(results: &Results) -> String {
    if results.startups.is_empty() {
        return String::new();
    }
    let mut text =
        "<section>\n<h2>Start</h2>\n<table>\n<tr><th>operation<th>target<th>first token ms\
                    <th>idle memory MiB</tr>\n"
            .to_owned();
    for startup in &results.startups {
        text.push_str(&format!(
            "<tr><td class=\"name\">{}<td class=\"name\">{}<td>{:.1}<td>{:.1}</tr>\n",
            startup.operation.title(),
            escape(&startup.name),
            startup.first_token,
            startup.idle_memory
        ));
    }
    text.push_str("</table>\n</section>\n");
    text
}

/// Names of targets come from the command line.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const KINDS: [Kind; 4] = [
    Kind {
        title: "Rate",
        unit: "requests/s",
        scale: Scale::Linear,
        value: |sample| sample.rate,
    },
    Kind {
        title: "Median latency",
        unit: "µs",
        scale: Scale::Logarithmic,
        value: |sample| sample.p50,
    },
    Kind {
        title: "99th percentile",
        unit: "µs",
        scale: Scale::Logarithmic,
        value: |sample| sample.p99,
    },
    Kind {
        title: "CPU of the target",
        unit: "ms per 1000",
        scale: Scale::Linear,
        value: |sample| sample.cpu,
    },
];

/// Lines beyond these share colours; their names in the plots still tell them apart.
const COLOURS: usize = 6;

const STYLE: &str = "
:root{--back:#fbfaf8;--card:#fff;--ink:#22252a;--soft:#6d737d;--rule:#e4e2dd;--s0:#c2410c;--s1:#2563eb;--s2:#0f8a6d;--s3:#9333ea;--s4:#b7860b;--s5:#be185d}
@media(prefers-color-scheme:dark){:root{--back:#16181c;--card:#1e2126;--ink:#e6e7ea;--soft:#9097a3;--rule:#333842;--s0:#fb923c;--s1:#7aa8ff;--s2:#4fd1b0;--s3:#c79bff;--s4:#e5c158;--s5:#f58bbd}}
body{margin:0 auto;padding:2.5rem 1.5rem 4rem;max-width:72rem;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:0}p{color:var(--soft);max-width:44rem;margin:0 0 2rem}
section{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:1.3rem 1.5rem;margin:0 0 1.5rem}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;padding:0;margin:.4rem 0 1rem;color:var(--soft);font-size:.9rem}
.legend li::before{content:'';display:inline-block;width:1.1rem;height:3px;border-radius:2px;margin-right:.45rem;vertical-align:middle;background:var(--c)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(21rem,1fr));gap:1rem 2rem}
svg{width:100%;height:auto;font:11px system-ui,sans-serif}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}.s4{--c:var(--s4)}.s5{--c:var(--s5)}
svg .grid{stroke:var(--rule);stroke-width:1}svg text{fill:var(--soft)}svg .title{fill:var(--ink);font-size:13px;font-weight:600}
svg polyline{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round}svg .s0 polyline{stroke-width:3}svg circle{fill:var(--c);stroke:var(--card);stroke-width:1.5}
details{margin-top:1rem;overflow-x:auto}summary{cursor:pointer;color:var(--soft)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.85rem;margin:.8rem 0}
th,td{text-align:right;padding:.2rem .7rem;border-bottom:1px solid var(--rule);white-space:nowrap}th{color:var(--soft);font-weight:500}td.name{text-align:left}
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::results;

    #[test]
    fn a_page_has_four_plots_for_each_workload_and_refers_to_nothing_outside() {
        let page = html(&results(&[80.0], &[100.0]));
        assert_eq!(page.matches("<svg").count(), 4);
        assert_eq!(page.matches("</svg>").count(), 4);
        assert!(!page.contains("http") && !page.contains("src=") && !page.contains("@import"));
        assert!(page.contains("ours / other") && page.contains("<h2>Start</h2>"));
    }

    #[test]
    fn names_from_the_command_line_are_text_and_nothing_more() {
        let mut results = results(&[80.0], &[100.0]);
        for measurement in &mut results.measurements {
            measurement.lines[1].name = "<script>".to_owned();
            measurement.ratios[0].to = "<script>".to_owned();
        }
        assert!(!html(&results).contains("<script>"));
    }
}
