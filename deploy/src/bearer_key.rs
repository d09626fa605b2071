//! A private key for `bearer.token.core`, as `openssl genpkey -algorithm ed25519` writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Returns the PEM of the Ed25519 key whose seed is `random`: 32 bytes from a cryptographic generator.
#[must_use]
pub fn pem(random: &Zeroizing<[u8; 32]>) -> Zeroizing<String> {
    let mut der = Zeroizing::new(Vec::with_capacity(PKCS8.len() + random.len()));
    der.extend_from_slice(&PKCS8);
    der.extend_from_slice(random.as_slice());
    let encoded = Zeroizing::new(STANDARD.encode(der.as_slice()));
    Zeroizing::new(format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        *encoded
    ))
}

/// What stands before the seed (RFC 8410 §7): version 0, the algorithm, an octet string within an octet string.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::{Secret, SigningKey, read_key_text};

    #[test]
    fn the_issuer_reads_the_key_of_the_seed() {
        let text = pem(&Zeroizing::new([7; 32]));
        let read = read_key_text(text.as_bytes()).unwrap().unwrap();
        let seed = Secret::new(vec![7; 32]);
        assert_eq!(read.id(), SigningKey::from_seed(&seed).unwrap().id());
    }
}
