//! Identifiers of instances and messages.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// The identifier of one running instance: `id-` and ten of `[0-9a-z]`, for example `id-gsw2gftqlx`.
///
/// Cloning is cheap. spec: microbus-wire 1.5
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// Makes an identifier of random bytes.
    ///
    /// It names, it does not authenticate: the small bias of the mapping does no harm.
    pub fn from_random(random: [u8; 10]) -> Self {
        Self(format!("id-{}", letters(&random, LOWERCASE)).into())
    }

    /// Returns the identifier, in lower case.
    ///
    /// # Errors
    /// [`InstanceIdError`] if the text is not `id-` and ten letters or digits.
    pub fn parse(text: &str) -> Result<Self, InstanceIdError> {
        let id = text.to_ascii_lowercase();
        match id.strip_prefix("id-") {
            Some(rest) if rest.len() == 10 && rest.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok(Self(id.into()))
            }
            _ => Err(InstanceIdError),
        }
    }

    /// Returns the text, for example `id-gsw2gftqlx`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no instance identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an instance id is `id-` and ten letters or digits")]
pub struct InstanceIdError;

/// The identifier that ties acks and responses to a request: eight of `[0-9A-Za-z]`, unique among those in flight.
///
/// What arrives from a peer is opaque text, so this type is only for our own requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Arc<str>);

impl MessageId {
    /// Makes an identifier of random bytes. The caller asks again if it is already in flight.
    pub fn from_random(random: [u8; 8]) -> Self {
        Self(letters(&random, ANY_CASE).into())
    }

    /// Returns the text, for example `D05aNIKi`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Maps each byte to a letter of the alphabet.
fn letters(random: &[u8], alphabet: &str) -> String {
    random
        .iter()
        .filter_map(|byte| alphabet.chars().cycle().nth(usize::from(*byte)))
        .collect()
}

const LOWERCASE: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const ANY_CASE: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_made_of_any_bytes_parses() {
        for byte in 0..=255 {
            let id = InstanceId::from_random([byte; 10]);
            assert_eq!(InstanceId::parse(id.as_str()), Ok(id));
        }
        assert_eq!(
            InstanceId::from_random([0, 1, 9, 10, 35, 36, 71, 72, 255, 254]).as_str(),
            "id-019az0z032"
        );
    }

    #[test]
    fn an_instance_id_of_another_shape_is_refused() {
        for text in [
            "",
            "id-",
            "id-abc",
            "id-abcdefghijk",
            "ix-abcdefghij",
            "id-abcde.ghij",
        ] {
            assert_eq!(InstanceId::parse(text), Err(InstanceIdError), "{text}");
        }
        assert_eq!(
            InstanceId::parse("ID-ABCDEFGHIJ").unwrap().as_str(),
            "id-abcdefghij"
        );
    }

    #[test]
    fn a_message_id_has_eight_letters_or_digits() {
        for byte in 0..=255 {
            let id = MessageId::from_random([byte; 8]);
            assert_eq!(id.as_str().len(), 8);
            assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric()));
        }
        assert_eq!(
            MessageId::from_random([0, 10, 36, 61, 62, 1, 1, 1]).as_str(),
            "0Aaz0111"
        );
    }
}
