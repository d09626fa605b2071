//! What a replica tells of its keys in its metrics, which it exports where `MICROBUS_PROMETHEUS_EXPORTER` is set.

use microbus_token::KeyId;

/// Finds the own keys of a replica in its metrics, with the Unix time since when each is published, waits or signs.
#[must_use]
pub fn keys_since(text: &str) -> Vec<(KeyId, i64)> {
    text.lines().filter_map(key_since).collect()
}

/// Finds how often a replica has served its JWK Set.
#[must_use]
pub fn jwk_sets_served(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(SERVED))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

fn key_since(line: &str) -> Option<(KeyId, i64)> {
    let labels = line.strip_prefix(SINCE)?.strip_prefix('{')?;
    let (labels, value) = labels.rsplit_once('}')?;
    let mut values = labels.split(',').filter_map(|label| label.split_once('='));
    let (_, kid) = values.find(|(name, _)| *name == "kid")?;
    let kid = KeyId::parse(kid.trim_matches('"')).ok()?;
    // Whole seconds are enough; a fraction is cut off.
    let seconds = value.trim().split('.').next()?;
    Some((kid, seconds.parse().ok()?))
}

const SINCE: &str = "microbus_token_key_since_timestamp_seconds";

const SERVED: &str = "microbus_token_jwks_served_total";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_among_other_metrics() {
        let text = "# HELP microbus_token_key_since_timestamp_seconds Since when\n\
            microbus_token_key_since_timestamp_seconds{deployment=\"PROD\",id=\"id-abcdefghij\",kid=\"NHUPmL1Z_Pw\",state=\"signs\"} 1800000000.25\n\
            microbus_token_key_since_timestamp_seconds{kid=\"ajgD1fBZkCo\",state=\"waits\"} 1800000010\n\
            microbus_token_key_since_timestamp_seconds_total{kid=\"x\"} 1\n\
            microbus_token_jwks_served_total{id=\"id-abcdefghij\"} 12\n\
            microbus_uptime_duration_seconds 5\n";
        let found = keys_since(text);
        assert_eq!(jwk_sets_served(text), Some(12));
        assert_eq!(jwk_sets_served("# nothing\n"), None);
        let found: Vec<_> = found
            .iter()
            .map(|(kid, since)| (kid.as_str(), *since))
            .collect();
        assert_eq!(
            found,
            [
                ("NHUPmL1Z_Pw", 1_800_000_000),
                ("ajgD1fBZkCo", 1_800_000_010)
            ]
        );
    }
}
