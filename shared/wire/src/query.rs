//! Query strings and form bodies.

use std::borrow::Cow;

use thiserror::Error;

use crate::percent;

/// One decoded name and its decoded value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Returns the decoded pairs of a query; malformed parts are skipped, as with the peer.
///
/// A part is malformed if it has a bad percent escape or a `;`. spec: microbus-wire 15.2
pub fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    parts(query).filter_map(|part| pair(part).ok())
}

/// Returns the decoded pairs of a form body, or of the query beside a form body.
///
/// They are decoded one at a time, since a form of many empty pairs takes many times its size.
///
/// # Errors
/// [`FormError`] at the first malformed part. spec: microbus-wire 15.2
pub fn form_pairs(form: &str) -> Result<impl Iterator<Item = Pair<'_>>, FormError> {
    parts(form).try_for_each(|part| pair(part).map(drop))?;
    Ok(pairs(form))
}

/// Why a form is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormError {
    /// A `;` where `&` is meant.
    #[error("the form separates its parts by semicolons; use ampersands, or write %3B")]
    Semicolon,
    /// A `%` that is not followed by two hex digits.
    #[error("the form has a percent sign that is not followed by two hex digits; write %25")]
    Escape,
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('&').filter(|part| !part.is_empty())
}

fn pair(part: &str) -> Result<Pair<'_>, FormError> {
    if part.contains(';') {
        return Err(FormError::Semicolon);
    }
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    let decode = |text| percent::decode::<true>(text).ok_or(FormError::Escape);
    Ok((decode(name)?, decode(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Vec<(String, String)> {
        pairs(query)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    #[test]
    fn names_and_values_are_decoded_in_order() {
        let expected = [
            ("claims[sub]", "a b"),
            ("x", "1=2"),
            ("flag", ""),
            ("x", "ü"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(read("claims%5Bsub%5D=a+b&&x=1=2&flag&x=%c3%bc"), expected);
    }

    #[test]
    fn malformed_parts_of_a_query_are_skipped_and_of_a_form_refused() {
        assert_eq!(
            read("a=%zz&b=1;c=2&d=3"),
            [("d".to_owned(), "3".to_owned())]
        );
        assert_eq!(form_pairs("a=%zz").err(), Some(FormError::Escape));
        assert_eq!(form_pairs("d=3&b=1;c=2").err(), Some(FormError::Semicolon));
        assert!(form_pairs("d=3&e").unwrap().eq(pairs("d=3&e")));
    }
}
