//! Private keys in DER: what a text holds, and the seed if it is an Ed25519 key.
//!
//! Our own reader, because operators paste all sorts of keys and deserve to hear which, and because
//! what the Go services accept is wider than what the common crates do: any version number and
//! trailing data (spec: microbus-wire 15.12).

/// What a DER text is.
pub(crate) enum KeyKind<'a> {
    Ed25519(Parts<'a>),
    /// Something else that we know by name.
    Other(&'static str),
    Malformed,
}

/// The parts of an Ed25519 key in PKCS#8.
pub(crate) struct Parts<'a> {
    pub(crate) seed: &'a [u8],
    pub(crate) public: Option<&'a [u8]>,
}

/// Reads DER (X.690) as PKCS#8 (RFC 5958) with an Ed25519 key (RFC 8410).
pub(crate) fn read(der: &[u8]) -> KeyKind<'_> {
    let Some((SEQUENCE, body, _)) = element(der) else {
        return KeyKind::Malformed;
    };
    match element(body) {
        Some((INTEGER, version, rest)) => after_version(version, rest),
        Some((SEQUENCE, algorithm, rest)) => without_version(algorithm, rest),
        _ => KeyKind::Malformed,
    }
}

fn after_version<'a>(version: &[u8], rest: &'a [u8]) -> KeyKind<'a> {
    match element(rest) {
        Some((SEQUENCE, algorithm, rest)) => private_key_info(algorithm, rest),
        Some((INTEGER, ..)) if version == [0] => {
            KeyKind::Other("an RSA private key in PKCS#1 (or a DSA key)")
        }
        Some((INTEGER, ..)) => KeyKind::Other("an RSA public key in PKCS#1"),
        Some((OCTET_STRING, ..)) => KeyKind::Other("an EC private key in SEC1"),
        _ => KeyKind::Malformed,
    }
}

fn private_key_info<'a>(algorithm: &[u8], rest: &'a [u8]) -> KeyKind<'a> {
    let Some((OBJECT_IDENTIFIER, oid, parameters)) = element(algorithm) else {
        return KeyKind::Malformed;
    };
    if oid != ED25519 {
        return KeyKind::Other(match oid {
            RSA => "an RSA private key",
            EC => "an EC private key",
            X25519 => "an X25519 private key",
            X448 => "an X448 private key",
            ED448 => "an Ed448 private key",
            _ => "a private key of an unknown algorithm",
        });
    }
    if !parameters.is_empty() {
        return KeyKind::Other("an Ed25519 key with algorithm parameters, which RFC 8410 forbids");
    }
    let Some((OCTET_STRING, private, rest)) = element(rest) else {
        return KeyKind::Malformed;
    };
    let Some((OCTET_STRING, seed, _)) = element(private) else {
        return KeyKind::Malformed;
    };
    match public_key(rest) {
        Ok(public) => KeyKind::Ed25519(Parts { seed, public }),
        Err(NoBitString) => KeyKind::Malformed,
    }
}

/// A public key that is announced but not there.
struct NoBitString;

/// Looks for `[1] publicKey` behind the optional `[0] attributes`; other trailing data is ignored.
fn public_key(mut rest: &[u8]) -> Result<Option<&[u8]>, NoBitString> {
    while let Some((tag, content, tail)) = element(rest) {
        if tag == PUBLIC_KEY {
            // The first byte counts the unused bits of a bit string: none.
            return content.strip_prefix(&[0]).map(Some).ok_or(NoBitString);
        }
        rest = tail;
    }
    Ok(None)
}

fn without_version<'a>(algorithm: &[u8], rest: &[u8]) -> KeyKind<'a> {
    let oid = match element(algorithm) {
        Some((OBJECT_IDENTIFIER, oid, _)) => oid,
        // A certificate begins with the sequence of what is signed, which begins with [0] or a number.
        Some(_) => return KeyKind::Other("a certificate"),
        None => return KeyKind::Malformed,
    };
    match element(rest) {
        Some((BIT_STRING, ..)) if oid == ED25519 => KeyKind::Other("an Ed25519 public key"),
        Some((BIT_STRING, ..)) => KeyKind::Other("a public key"),
        Some((OCTET_STRING, ..)) => KeyKind::Other("an encrypted private key (decrypt it first)"),
        _ => KeyKind::Malformed,
    }
}

/// Splits off one element: tag, content, what follows. Lengths must be minimal, as Go demands.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        // No key that we know is longer than 64 KiB; an indefinite length is not DER.
        _ => return None,
    };
    let minimal = match first {
        0x81 => length >= 0x80,
        0x82 => length > 0xff,
        _ => true,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    minimal.then_some((tag, content, rest))
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[1] IMPLICIT BIT STRING` of RFC 5958.
const PUBLIC_KEY: u8 = 0x81;

/// 1.3.101.110 to 113 (RFC 8410).
const X25519: &[u8] = &[0x2b, 0x65, 0x6e];
const X448: &[u8] = &[0x2b, 0x65, 0x6f];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const ED448: &[u8] = &[0x2b, 0x65, 0x71];
/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
