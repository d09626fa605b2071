//! The text of an operator's key: every form that the Go service reads, and for every form that it
//! does not read an error that says what was found.
//!
//! Source: spec: microbus-wire 11.3, 15.12. No error quotes any content.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::key::{KeyError, SigningKey};

/// Reads an Ed25519 private key: PKCS#8 as PEM with any label, or as standard base64 of its DER.
/// An empty text is no key.
///
/// # Errors
/// [`KeyTextError`], which names what the text is and what is wanted.
///
/// # Security
/// The buffers made here are wiped; `text` stays with the caller, who should hold it in a
/// [`crate::Secret`].
pub fn read_key_text(text: &[u8]) -> Result<Option<SigningKey>, KeyTextError> {
    if text.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| {
        // A DER file begins with a SEQUENCE.
        if text.first() == Some(&0x30) {
            KeyTextError::BinaryDer
        } else {
            KeyTextError::NotText
        }
    })?;
    if text.trim().is_empty() {
        return Err(KeyTextError::Blank);
    }
    let der = match pem_block(text) {
        Some(der) => der,
        None => base64_text(text.trim()).ok_or_else(|| describe(text))?,
    };
    if der.starts_with(OPENSSH_MAGIC) {
        return Err(KeyTextError::OpenSsh);
    }
    match SigningKey::from_pkcs8_der(&der) {
        Ok(key) => Ok(Some(key)),
        // What is encrypted is no DER, and a block of parameters that stands before its key is no key.
        Err(KeyError::Malformed) if text.contains(ENCRYPTED_MARK) => Err(KeyTextError::Encrypted),
        Err(KeyError::Malformed) if text.contains("-----BEGIN EC ") => Err(KeyTextError::Key(
            KeyError::Kind("an EC private key in SEC1"),
        )),
        Err(KeyError::Malformed) if der.len() == 32 || der.len() == 64 => {
            Err(KeyTextError::BareKey(der.len()))
        }
        Err(error) => Err(KeyTextError::Key(error)),
    }
}

/// Why a text is not a usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// Blanks and line ends only.
    #[error("the key text has nothing but blanks; {WANTED}")]
    Blank,
    /// Not UTF-8.
    #[error("the key text is not text; {WANTED}")]
    NotText,
    /// Binary DER.
    #[error("the key is binary DER; {WANTED} (openssl pkey -inform DER)")]
    BinaryDer,
    /// A byte order mark before the text.
    #[error("the key text begins with a byte order mark; save it without one")]
    ByteOrderMark,
    /// PEM with `\n` written as two characters.
    #[error("the key text has a literal \\n for its line ends; put real line ends there")]
    LiteralNewlines,
    /// PEM on one line.
    #[error(
        "the key text is PEM flattened into one line; put its line ends back, or give only the base64 between the BEGIN and END marks"
    )]
    OneLine,
    /// PEM with old Macintosh line ends.
    #[error("the key text has CR alone as line end; use LF or CR LF")]
    CarriageReturns,
    /// The BEGIN or END mark is not at the start of its line.
    #[error("the BEGIN or END line of the key text is indented; it must start in the first column")]
    Indented,
    /// PEM without its END line, with different labels, or with broken base64 inside.
    #[error(
        "the key text is damaged PEM: its END line is missing or differs from BEGIN, or its base64 is broken"
    )]
    DamagedPem,
    /// An encrypted key of the traditional PEM form.
    #[error("the key text is an encrypted private key; decrypt it first (openssl pkey)")]
    Encrypted,
    /// An OpenSSH key.
    #[error("the key text is an OpenSSH key; {WANTED}")]
    OpenSsh,
    /// An SSH public key.
    #[error("the key text is an SSH public key; {WANTED}")]
    SshPublic,
    /// 32 or 64 bytes without PKCS#8 around them.
    #[error("the key text is {0} bare bytes in base64; {WANTED}")]
    BareKey(usize),
    /// Hexadecimal digits.
    #[error("the key text is hexadecimal; {WANTED}")]
    Hexadecimal,
    /// URL-safe base64.
    #[error("the key text is url-safe base64; write + for - and / for _")]
    UrlSafe,
    /// Base64 with blanks in its lines.
    #[error("the key text is base64 with blanks inside; take them out")]
    InnerBlanks,
    /// None of what we know.
    #[error("the key text is neither PEM nor base64; {WANTED}")]
    Unknown,
    /// The text is well-formed, the key in it is not ours.
    #[error(transparent)]
    Key(KeyError),
}

const WANTED: &str = "wanted is an Ed25519 private key in PKCS#8, as PEM or base64 (openssl genpkey -algorithm ed25519)";

/// Returns the bytes of the first whole PEM block.
fn pem_block(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut lines = text
        .split('\n')
        .map(|line| line.trim_end_matches([' ', '\t', '\r']));
    while let Some(line) = lines.next() {
        let Some(label) = line
            .strip_prefix("-----BEGIN ")
            .and_then(|l| l.strip_suffix("-----"))
        else {
            continue;
        };
        // Compared in place: of PEM that is flattened into one line the label is the whole key.
        let is_end = |line: &str| {
            line.strip_prefix("-----END ")
                .and_then(|l| l.strip_suffix("-----"))
                == Some(label)
        };
        let mut body = Zeroizing::new(String::with_capacity(text.len()));
        // A damaged block is passed over, as Go does, and the search goes on behind its BEGIN line.
        let mut ahead = lines.clone();
        let ended = ahead.by_ref().any(|line| {
            // A line with a colon is a PEM header (RFC 1421).
            if !is_end(line) && !line.contains(':') {
                body.extend(line.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r')));
            }
            is_end(line)
        });
        if ended && let Some(der) = decode(&body) {
            return Some(der);
        }
    }
    None
}

/// Decodes standard base64 that may be broken into lines.
fn base64_text(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if is_hexadecimal(text) {
        return None;
    }
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    joined.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n')));
    decode(&joined)
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Go ignores non-zero bits behind the last byte, and so do we: such files exist.
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let mut der = Zeroizing::new(Vec::with_capacity(text.len()));
    GeneralPurpose::new(&STANDARD, config)
        .decode_vec(text, &mut der)
        .ok()?;
    Some(der)
}

/// Finds out what a text is that is neither PEM nor base64.
fn describe(text: &str) -> KeyTextError {
    let trimmed = text.trim().trim_start_matches('\u{feff}');
    if trimmed.contains("-----BEGIN ") {
        return describe_pem(text);
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    if text.starts_with('\u{feff}') {
        KeyTextError::ByteOrderMark
    } else if trimmed.starts_with("ssh-") || trimmed.starts_with("ecdsa-") {
        KeyTextError::SshPublic
    } else if is_hexadecimal(trimmed) {
        KeyTextError::Hexadecimal
    } else if trimmed.contains("\\n") {
        KeyTextError::LiteralNewlines
    } else if !trimmed.chars().all(|c| bare(c) || c.is_whitespace()) {
        KeyTextError::Unknown
    } else if trimmed.contains(['-', '_']) {
        KeyTextError::UrlSafe
    } else if trimmed.contains([' ', '\t']) {
        KeyTextError::InnerBlanks
    } else {
        KeyTextError::Unknown
    }
}

fn describe_pem(text: &str) -> KeyTextError {
    let indented = |line: &str| line.starts_with([' ', '\t']) && line.contains("-----");
    if text.starts_with('\u{feff}') {
        KeyTextError::ByteOrderMark
    } else if text.contains(ENCRYPTED_MARK) {
        KeyTextError::Encrypted
    } else if text.contains("\\n") {
        KeyTextError::LiteralNewlines
    } else if !text.trim().contains('\n') && text.trim().contains('\r') {
        KeyTextError::CarriageReturns
    } else if !text.trim().contains('\n') {
        KeyTextError::OneLine
    } else if text.lines().any(indented) {
        KeyTextError::Indented
    } else {
        KeyTextError::DamagedPem
    }
}

/// Tells whether the text is 32 or 64 bytes in hexadecimal. (Base64 of PKCS#8 begins with `M`.)
fn is_hexadecimal(text: &str) -> bool {
    matches!(text.len(), 64 | 128) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The header of an encrypted key of the traditional form (RFC 1421 section 4.6.1.1).
const ENCRYPTED_MARK: &str = "Proc-Type: 4,ENCRYPTED";
const OPENSSH_MAGIC: &[u8] = b"openssh-key-v1\0";

#[cfg(test)]
mod tests;
