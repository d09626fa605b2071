//! Properties of a service: name on the wire, rule, default.
//!
//! Source: spec: microbus-wire 8.4. README's table of properties is tested against the declarations made with this.

use crate::minting::{MintPolicy, Minters};
use microbus_token::{SigningKey, read_key_text};
use microbus_wire::duration;
use std::sync::Arc;
use std::time::Duration;

/// One property as it is declared by a service.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Name in files and at the configurator; case-sensitive.
    pub name: &'static str,
    /// What values are valid.
    pub rule: Rule,
    /// Value in force where nobody says otherwise, as text.
    pub default: &'static str,
    /// What a change does to a running process, one phrase for the operator.
    pub effect: &'static str,
}

/// Declared by every issuer: see [`Connector::answer_without_ack`](microbus_bus::Connector::answer_without_ack).
pub const ANSWER_WITHOUT_ACK: Property = Property {
    name: "AnswerWithoutAck",
    rule: Rule::Switch,
    default: "true",
    effect: "answer Mint and JWKS without an ack before it, unless the answer is late; callers then measure no ack latency",
};

/// What values of a [`Property`] are valid.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// Go duration text within both bounds, inclusive; `most` absent means unbounded.
    Duration {
        /// The least value allowed.
        least: Duration,
        /// The greatest value allowed.
        most: Option<Duration>,
    },
    /// `true` or `false`.
    Switch,
    /// The text of an Ed25519 private key, as PEM or base64; empty is no key. Never shown.
    Key,
    /// A whole number within both bounds, inclusive.
    Count {
        /// The least value allowed.
        least: u64,
        /// The greatest value allowed.
        most: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any of these words, separated by blanks or commas.
    Words(&'static [&'static str]),
    /// Path of a file on this machine, absolute or beginning with `./` or `../`; empty is no file.
    Path,
    /// Hosts that may mint; the configurator can only strike some out.
    Minters,
    /// Expressions that tokens must meet, by caller; the configurator can only add some.
    MintPolicy,
    /// Taken from the process's own files only.
    Own(&'static Self),
    /// Path of a file on this machine, absolute or beginning with `./` or `../`; empty is no file.
    ///
    /// Taken from the process's own files, else from the variable, else from the credentials of systemd if it is there;
    /// never from the configurator, for which it would be a probe of our disk.
    OwnFile {
        /// Environment variable that names the file.
        variable: &'static str,
        /// Name of the file in `$CREDENTIALS_DIRECTORY`.
        credential: &'static str,
    },
}

/// A value that passed its property's [`Rule`].
#[derive(Debug, Clone)]
pub enum Value {
    /// Of a [`Rule::Duration`].
    Duration(Duration),
    /// Of a [`Rule::Switch`].
    Switch(bool),
    /// Of a [`Rule::Key`]: parsed at once, so that its text is not kept.
    Key(Option<Arc<SigningKey>>),
    /// Of a [`Rule::Count`].
    Count(u64),
    /// Of a [`Rule::Choice`], [`Rule::Words`] or [`Rule::Path`].
    Text(String),
    /// Of a [`Rule::Minters`].
    Minters(Minters),
    /// Of a [`Rule::MintPolicy`].
    MintPolicy(MintPolicy),
    /// Of a [`Rule::OwnFile`].
    OwnFile(String),
}

/// Why a text is not a value of its property; names the property, the value (unless secret) and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {found}; {wanted}")]
pub struct InvalidValue {
    name: &'static str,
    found: String,
    wanted: String,
    is_key: bool,
}

impl InvalidValue {
    /// Tells whether the value was to be a private key, without which tokens would be refused.
    pub(crate) fn is_key(&self) -> bool {
        self.is_key
    }
}

impl Property {
    /// Parses `text` by the property's rule.
    ///
    /// # Errors
    /// [`InvalidValue`] when the text is not of the rule's form or is out of its bounds.
    pub fn parse(&self, text: &str) -> Result<Value, InvalidValue> {
        let invalid = |wanted: String| InvalidValue {
            name: self.name,
            found: self.show(text),
            wanted,
            is_key: matches!(self.rule, Rule::Key),
        };
        self.parse_by(self.rule, text, &invalid)
    }

    fn parse_by(
        &self,
        rule: Rule,
        text: &str,
        invalid: &dyn Fn(String) -> InvalidValue,
    ) -> Result<Value, InvalidValue> {
        match rule {
            Rule::Duration { least, most } => {
                let parsed = duration::parse(text)
                    .ok()
                    .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
                    .map(Duration::from_nanos)
                    .ok_or_else(|| invalid("write a duration such as 90s, 15m or 6h".to_owned()))?;
                if parsed < least {
                    return Err(invalid(format!(
                        "the least allowed is {}",
                        duration::format(least)
                    )));
                }
                if let Some(most) = most.filter(|most| parsed > *most) {
                    return Err(invalid(format!(
                        "the most allowed is {}",
                        duration::format(most)
                    )));
                }
                Ok(Value::Duration(parsed))
            }
            Rule::Switch => match text {
                "true" | "1" => Ok(Value::Switch(true)),
                "false" | "0" => Ok(Value::Switch(false)),
                _ => Err(invalid("write true or false".to_owned())),
            },
            Rule::Key => read_key_text(text.as_bytes())
                .map(|key| Value::Key(key.map(Arc::new)))
                .map_err(|error| invalid(error.to_string())),
            Rule::Count { least, most } => text
                .parse()
                .ok()
                .filter(|count| (least..=most).contains(count))
                .map(Value::Count)
                .ok_or_else(|| invalid(format!("write a whole number from {least} to {most}"))),
            Rule::Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
            Rule::Choice(words) => Err(invalid(format!("write {}", words.join(" or ")))),
            Rule::Words(words) => {
                let mut given = text.split([',', ' ']).filter(|word| !word.is_empty());
                if given.all(|word| words.contains(&word)) {
                    return Ok(Value::Text(text.to_owned()));
                }
                Err(invalid(format!("write any of {}", words.join(" "))))
            }
            Rule::Minters => Minters::parse(text).map(Value::Minters).map_err(invalid),
            Rule::MintPolicy => MintPolicy::parse(text)
                .map(Value::MintPolicy)
                .map_err(invalid),
            Rule::Own(rule) => self.parse_by(*rule, text, invalid),
            Rule::Path if text.is_empty() || is_path(text) => Ok(Value::Text(text.to_owned())),
            Rule::OwnFile { .. } if text.is_empty() || is_path(text) => {
                Ok(Value::OwnFile(text.to_owned()))
            }
            Rule::OwnFile { .. } | Rule::Path => Err(invalid(
                "write the path of a file, absolute or beginning with ./".to_owned(),
            )),
        }
    }

    /// Returns the complaint that `text` came from the configurator, which may not set this property; `None` if it may.
    pub(crate) fn refuse_from_configurator(&self, text: &str) -> Option<InvalidValue> {
        self.is_own().then(|| InvalidValue {
            name: self.name,
            found: self.show(text),
            wanted:
                "the configurator may not set it, only this process's own files and environment may"
                    .to_owned(),
            is_key: false,
        })
    }

    /// Tells whether only the process's own files and environment may set it.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.rule, Rule::OwnFile { .. } | Rule::Own(_))
    }

    /// Tells whether the configurator can only narrow what the process's own files say.
    pub(crate) fn is_narrowed(&self) -> bool {
        matches!(self.rule, Rule::Minters | Rule::MintPolicy)
    }

    /// Returns `text` as it may be shown: a secret as at most 16 asterisks, a long value cut to 39 characters.
    #[must_use]
    pub fn show(&self, text: &str) -> String {
        let length = text.chars().count();
        let secret = match self.rule {
            Rule::Key => true,
            // A key that was pasted where its file's name belongs.
            Rule::OwnFile { .. } => !is_path(text),
            Rule::Duration { .. }
            | Rule::Switch
            | Rule::Count { .. }
            | Rule::Choice(_)
            | Rule::Words(_)
            | Rule::Path
            | Rule::Minters
            | Rule::MintPolicy
            | Rule::Own(_) => false,
        };
        if secret {
            return "*".repeat(length.min(16));
        }
        if length > 40 {
            return text.chars().take(39).chain(['…']).collect();
        }
        text.to_owned()
    }
}

impl PartialEq for Value {
    /// Two texts of one key are the same value.
    fn eq(&self, other: &Self) -> bool {
        let public =
            |key: &Option<Arc<SigningKey>>| Some(*key.as_ref()?.verifying_key().as_bytes());
        match (self, other) {
            (Self::Duration(one), Self::Duration(two)) => one == two,
            (Self::Switch(one), Self::Switch(two)) => one == two,
            (Self::Key(one), Self::Key(two)) => public(one) == public(two),
            (Self::OwnFile(one), Self::OwnFile(two)) => one == two,
            (Self::Count(one), Self::Count(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Minters(one), Self::Minters(two)) => one == two,
            (Self::MintPolicy(one), Self::MintPolicy(two)) => one == two,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Value {
    /// Returns what is allowed by both, for values of a property that can be narrowed; others stay.
    pub(crate) fn narrowed_by(self, other: &Self) -> Self {
        match (&self, other) {
            (Self::Minters(own), Self::Minters(other)) => Self::Minters(own.narrowed_by(other)),
            (Self::MintPolicy(own), Self::MintPolicy(other)) => {
                Self::MintPolicy(own.narrowed_by(other))
            }
            _ => self,
        }
    }
}

/// Tells paths from key texts: neither PEM nor base64 of a key begins like this, or has other than printable characters.
pub(crate) fn is_path(text: &str) -> bool {
    ["/", "./", "../"]
        .iter()
        .any(|begin| text.starts_with(begin))
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Property = Property {
        name: "MaxTokenLifetime",
        rule: Rule::Duration {
            least: Duration::from_secs(1),
            most: Some(Duration::from_secs(900)),
        },
        default: "15m",
        effect: "",
    };
    const KEY: Property = Property {
        name: "PrivateKey",
        rule: Rule::Key,
        default: "",
        effect: "",
    };

    #[test]
    fn bounds_are_inclusive_and_errors_name_the_remedy() {
        assert_eq!(
            LIFETIME.parse("1s"),
            Ok(Value::Duration(Duration::from_secs(1)))
        );
        assert_eq!(
            LIFETIME.parse("15m"),
            Ok(Value::Duration(Duration::from_secs(900)))
        );
        let text = |value: &str| LIFETIME.parse(value).unwrap_err().to_string();
        assert_eq!(
            text("30m"),
            "MaxTokenLifetime is 30m; the most allowed is 15m0s"
        );
        assert_eq!(
            text("5ms"),
            "MaxTokenLifetime is 5ms; the least allowed is 1s"
        );
        assert_eq!(
            text("-5s"),
            "MaxTokenLifetime is -5s; write a duration such as 90s, 15m or 6h"
        );
        assert_eq!(
            text("soon"),
            "MaxTokenLifetime is soon; write a duration such as 90s, 15m or 6h"
        );
    }

    #[test]
    fn a_secret_is_shown_as_asterisks_and_a_long_value_is_cut() {
        assert_eq!(KEY.show("planted"), "*******");
        assert_eq!(KEY.show(&"k".repeat(100)), "*".repeat(16));
        assert_eq!(
            LIFETIME.show(&"x".repeat(41)),
            format!("{}…", "x".repeat(39))
        );
        assert_eq!(LIFETIME.show(&"x".repeat(40)), "x".repeat(40));
    }

    #[test]
    fn a_switch_takes_true_and_false_only() {
        let switch = Property {
            rule: Rule::Switch,
            ..KEY
        };
        assert_eq!(switch.parse("true"), Ok(Value::Switch(true)));
        assert_eq!(switch.parse("0"), Ok(Value::Switch(false)));
        assert!(switch.parse("yes").is_err());
    }

    #[test]
    fn counts_choices_words_and_paths_keep_to_their_rules() {
        let property = |rule| Property { rule, ..KEY };
        let count = property(Rule::Count { least: 1, most: 10 });
        assert_eq!(count.parse("10"), Ok(Value::Count(10)));
        let text = |property: Property, text| property.parse(text).unwrap_err().to_string();
        for bad in ["0", "11", "-1", "x"] {
            assert!(text(count, bad).ends_with("write a whole number from 1 to 10"));
        }
        let choice = property(Rule::Own(&Rule::Choice(&["drop", "refuse"])));
        assert_eq!(choice.parse("drop"), Ok(Value::Text("drop".to_owned())));
        assert!(text(choice, "x").ends_with("write drop or refuse"));
        let words = property(Rule::Words(&["a", "b"]));
        assert!(words.parse("b, a").is_ok() && words.parse("").is_ok());
        assert!(text(words, "a c").ends_with("write any of a b"));
        let path = property(Rule::Path);
        assert!(path.parse("/var/log/x").is_ok() && path.parse("x").is_err());
        assert!(choice.refuse_from_configurator("drop").is_some());
        assert!(path.refuse_from_configurator("/x").is_none());
    }

    #[test]
    fn a_key_is_parsed_and_neither_it_nor_its_error_shows_its_text() {
        let value = KEY.parse(KEY_TEXT).unwrap();
        assert_eq!(format!("{value:?}"), "Key(Some(SigningKey(NHUPmL1Z_Pw)))");
        assert_eq!(KEY.parse(""), Ok(Value::Key(None)));
        let error = KEY.parse("planted").unwrap_err();
        assert!(error.is_key() && !error.to_string().contains("planted"));
        assert!(
            error
                .to_string()
                .starts_with("PrivateKey is *******; the key")
        );
    }

    #[test]
    fn two_texts_of_one_key_are_one_value() {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{KEY_TEXT}\n-----END PRIVATE KEY-----\n");
        assert_eq!(KEY.parse(KEY_TEXT), KEY.parse(&pem));
        assert_ne!(KEY.parse(KEY_TEXT), KEY.parse(""));
    }

    #[test]
    fn a_key_in_place_of_a_path_is_refused_unseen() {
        let file = Property {
            name: "PrivateKeyFile",
            rule: Rule::OwnFile {
                variable: "MICROBUS_PRIVATE_KEY_FILE",
                credential: "PrivateKey",
            },
            ..KEY
        };
        for path in ["", "/run/secrets/key", "./key.pem", "../key.pem"] {
            assert_eq!(file.parse(path), Ok(Value::OwnFile(path.to_owned())));
        }
        for text in [KEY_TEXT, "-----BEGIN PRIVATE KEY-----\nMC4C", "/a\nb"] {
            let error = file.parse(text).unwrap_err().to_string();
            assert!(error.starts_with("PrivateKeyFile is ****") && !error.contains("MC4C"));
        }
        assert_eq!(file.show("/run/secrets/key"), "/run/secrets/key");
    }

    /// The seed of 32 bytes 1.
    const KEY_TEXT: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
}
