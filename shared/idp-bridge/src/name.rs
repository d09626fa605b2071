//! Which names may go from outside into claims. Pure.

use microbus_token::is_literal;

/// Tells whether a foreign text may become the name of a claim, or a role: a letter or underscore, then letters, digits
/// and underscores; and nothing that an expression would take for a literal, such as `true` or `nan`.
///
/// # Security
/// Whoever chooses a *name* can pass guards of services that look claims up before literals: with a claim named `5`, the
/// expression `level>5` compares with that. Source: spec: verify 8.
pub(crate) fn is_safe_name(text: &str) -> bool {
    let mut characters = text.chars();
    let begins = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    begins
        && characters.all(|each| each.is_ascii_alphanumeric() || each == '_')
        && !is_literal(text)
}

/// Tells whether only the platform may set a claim. `iss` of the identity provider becomes `idp` by being given to Mint.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// What the issuers set or verifiers judge by. Source: spec: verify 6.
const RESERVED: [&str; 7] = ["iss", "aud", "exp", "iat", "nbf", "jti", "idp"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_safe() {
        for name in ["sub", "Admin", "_", "_x1", "a_B_9", "truth", "email"] {
            assert!(is_safe_name(name), "{name}");
        }
        for name in [
            "",
            "5",
            "5a",
            "a.b",
            "a-b",
            "a b",
            " a",
            "a ",
            "'a'",
            "\"a\"",
            "`a`",
            "true",
            "True",
            "t",
            "F",
            "inf",
            "Infinity",
            "nan",
            "NaN",
            "https://ns/x",
            "é",
            "ａ",
            "a\n",
            "a\0",
            "a'||'b",
            "$a",
            "@a",
        ] {
            assert!(!is_safe_name(name), "{name:?}");
        }
    }
}
