//! Bounds of buckets as the Go services write them: dashboards select on the text of the label.

/// Rewrites the bounds in the Prometheus text format: a million and more have an exponent of two digits (`1.048576e+06`).
pub(super) fn as_in_go(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, bound, after)) = split_bound(rest) {
        out.push_str(before);
        match bound.parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 1e6 => out.push_str(&exponential(value)),
            _ => out.push_str(bound),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Splits before and behind the first bound.
fn split_bound(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find(LABEL)?.checked_add(LABEL.len())?;
    let (before, rest) = text.split_at_checked(start)?;
    let (bound, after) = rest.split_at_checked(rest.find('"')?)?;
    Some((before, bound, after))
}

fn exponential(value: f64) -> String {
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => format!("{digits}e+{exponent:0>2}"),
        None => text,
    }
}

const LABEL: &str = ",le=\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_large_bounds_change() {
        let text = "a{x=\"1048576\",le=\"262144\"} 1048576\na{x=\"\",le=\"1048576\"} 2\na{x=\"\",le=\"+Inf\"} 3\n";
        let expected = text.replace("le=\"1048576\"", "le=\"1.048576e+06\"");
        assert_eq!(as_in_go(text), expected);
        assert_eq!(exponential(16_777_216.0), "1.6777216e+07");
    }
}
