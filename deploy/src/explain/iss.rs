//! What is wrong with an `iss` that names neither issuer.

use crate::refusal::Reason;
use microbus_token::Issuer;

/// Tells how `iss` misses the two hosts that verifiers believe, which are compared byte by byte (spec: verify 2.2).
pub(super) fn misses(iss: &str) -> Reason {
    let host = iss.split_once("://").map_or(iss, |(_, host)| host);
    let names = |text: &str| HOSTS.contains(&text);
    let lower = host.to_ascii_lowercase();
    if names(&lower) {
        return Reason::IssCase;
    }
    if lower.split_once('@').is_some_and(|(_, host)| names(host)) {
        return Reason::IssLogin;
    }
    let behind = HOSTS.iter().find_map(|host| lower.strip_prefix(host));
    match behind.and_then(|rest| rest.chars().next()) {
        Some('/') => return Reason::IssPath,
        Some(':') => return Reason::IssPort,
        _ => {}
    }
    let squeezed: String = lower.chars().map(plain).collect();
    if HOSTS.iter().any(|host| squeezed.contains(host)) {
        return Reason::IssLookalike;
    }
    Reason::IssForeign
}

/// Returns the letter or dot that a character looks like, for those that are used to imitate host names.
fn plain(character: char) -> char {
    match character {
        '\u{2024}' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{b7}' => '.',
        'а' => 'a',
        'с' => 'c',
        'е' | 'ё' => 'e',
        'о' | 'ο' | '0' => 'o',
        'р' => 'p',
        'ѕ' => 's',
        other => other,
    }
}

const HOSTS: [&str; 2] = [Issuer::Access.host(), Issuer::Bearer.host()];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_miss_has_its_reason() {
        for (iss, reason) in [
            ("https://Access.token.core", Reason::IssCase),
            ("https://bearer.token.core/", Reason::IssPath),
            ("https://bearer.token.core/realm", Reason::IssPath),
            ("https://access.token.core:443", Reason::IssPort),
            ("https://me@access.token.core", Reason::IssLogin),
            ("https://access.token.core.evil", Reason::IssLookalike),
            ("https://xaccess.token.core", Reason::IssLookalike),
            ("https://access\u{2024}token.core", Reason::IssLookalike),
            ("https://bearer.tоken.core", Reason::IssLookalike),
            ("https://login.example", Reason::IssForeign),
            ("", Reason::IssForeign),
        ] {
            assert_eq!(misses(iss), reason, "{iss}");
            assert_eq!(Issuer::of_claim(iss), None, "{iss}");
        }
    }
}
