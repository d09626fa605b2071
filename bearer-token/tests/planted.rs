//! Key material that is easy to recognise, and every form in which it could leave a process.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// A private key that is easy to recognise: its seed has no byte twice.
pub(crate) struct Planted {
    pub(crate) seed: [u8; 32],
}

impl Planted {
    pub(crate) fn new(first: u8) -> Self {
        let mut seed = [0; 32];
        for (byte, value) in seed.iter_mut().zip(0_u8..) {
            *byte = first.wrapping_add(value.wrapping_mul(7));
        }
        Self { seed }
    }

    pub(crate) fn text(&self) -> String {
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend(self.seed);
        STANDARD.encode(der)
    }

    pub(crate) fn pem(&self) -> String {
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            self.text()
        )
    }

    /// Every form of the seed, and of its halves, in which it could be found.
    fn forms(&self) -> Vec<Vec<u8>> {
        let mut forms = vec![
            self.seed.to_vec(),
            // Of the text that is configured, what follows the header that all keys share.
            self.text().as_bytes()[24..].to_vec(),
            self.text().as_bytes()[24..44].to_vec(),
        ];
        for part in [&self.seed[..], &self.seed[..16], &self.seed[16..]] {
            let hexadecimal: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            let decimal: Vec<_> = part.iter().map(ToString::to_string).collect();
            // In base64 a part looks different behind each number of bytes; its first and last character mix with neighbours.
            for before in 0..3 {
                let mut shifted = vec![0; before];
                shifted.extend(part);
                for text in [STANDARD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
                    let text = text.trim_end_matches('=');
                    forms.push(text.as_bytes()[4..text.len() - 2].to_vec());
                }
            }
            forms.push(hexadecimal.to_uppercase().into_bytes());
            forms.push(hexadecimal.into_bytes());
            forms.push(decimal.join(", ").into_bytes());
            forms.push(part.to_vec());
        }
        forms
    }

    #[track_caller]
    pub(crate) fn is_not_in(&self, place: &str, content: &[u8]) {
        let content = characters(content);
        for form in self.forms() {
            let found = content.contains(&characters(&form));
            assert!(!found, "a private key is in {place}");
        }
    }
}

/// Returns a character for each byte: the standard library searches text faster than a debug build compares slices.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
