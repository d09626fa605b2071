//! Where an instance runs, from the widest region to the narrowest.

use thiserror::Error;

use crate::host::{HostnameError, check_labels};

/// A locality such as `us-west-1`: segments joined by hyphens, the widest first.
///
/// spec: microbus-wire 1.5
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Locality(String);

impl Locality {
    /// Returns the locality; a dotted value is reversed, so that `1.west.us` gives `us-west-1`.
    ///
    /// # Errors
    /// [`LocalityError`] if the result breaks the rule for host names, which allows neither capitals nor underscores.
    pub fn parse(text: &str) -> Result<Self, LocalityError> {
        let name = if text.contains('.') {
            text.rsplit('.').collect::<Vec<_>>().join("-")
        } else {
            text.to_owned()
        };
        check_labels(&name)?;
        if name == "all" || name.starts_with("id-") || name.starts_with("loc-") {
            return Err(LocalityError::Reserved);
        }
        Ok(Self(name))
    }

    /// Returns the text, for example `us-west-1`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the regions that hold this locality, the widest first: `us`, `us-west`, `us-west-1`.
    ///
    /// A service subscribes once for each. spec: microbus-wire 2.6
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        let inner = self.0.match_indices('-').map(|(at, _)| at);
        inner
            .chain([self.0.len()])
            .filter_map(|end| self.0.get(..end))
    }

    /// Returns the narrowest region that holds both localities, `None` if there is none.
    ///
    /// spec: microbus-wire 5.3
    pub fn common_prefix(&self, other: &str) -> Option<String> {
        let common: Vec<&str> = self
            .0
            .split('-')
            .zip(other.split('-'))
            .take_while(|(ours, theirs)| ours == theirs)
            .map(|(ours, _)| ours)
            .collect();
        (!common.is_empty()).then(|| common.join("-"))
    }
}

/// Why a text is no locality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LocalityError {
    /// It breaks the rule for host names.
    #[error("the locality must be lower-case letters, digits and hyphens, as in us-west-1")]
    Name(#[from] HostnameError),
    /// It is `all` or begins with `id-` or `loc-`.
    #[error(
        "the locality is `all` or begins with id- or loc-, which the bus reads as an address; rename it"
    )]
    Reserved,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_locality_is_reversed() {
        assert_eq!(Locality::parse("1.west.us").unwrap().as_str(), "us-west-1");
        assert_eq!(Locality::parse("us-west-1").unwrap().as_str(), "us-west-1");
    }

    #[test]
    fn a_locality_with_capitals_underscores_or_a_reserved_name_is_refused() {
        for text in ["AWS", "us_west", "", "all", "loc-us", "us west"] {
            assert!(Locality::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prefixes_go_from_the_widest_to_the_narrowest() {
        let locality = Locality::parse("us-west-1").unwrap();
        assert_eq!(
            locality.prefixes().collect::<Vec<_>>(),
            ["us", "us-west", "us-west-1"]
        );
    }

    #[test]
    fn the_common_prefix_is_by_segment_and_not_by_letter() {
        let locality = Locality::parse("us-west-2").unwrap();
        assert_eq!(
            locality.common_prefix("us-west-1").as_deref(),
            Some("us-west")
        );
        assert_eq!(
            locality.common_prefix("us-western-2").as_deref(),
            Some("us")
        );
        assert_eq!(locality.common_prefix("eu-west-2"), None);
        assert_eq!(locality.common_prefix(""), None);
    }
}
