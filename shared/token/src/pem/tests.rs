use super::*;
use crate::key::KeyError;

const BODY: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";

/// `openssl ec -aes128`.
const ENCRYPTED_EC: &str = "-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,F3F8BFE0EC8EAA19667F9ED25CFA23D4

uhUwM5lXo+SvMhrBgZGrK1wGvTIYPHmhR9EhIkKOFNmnncwBTOdwf42CKvOv4tkw
Tb58IAHIVdVLNqxQGM/YfuXnuc7p1HWPu4OUoVl6rjZJ5oPZaTMcKnEKKliLhYRh
nijyLVRsC+hJoZd212u3Hv99TstUBbWMXaalNVB+fZ8=
-----END EC PRIVATE KEY-----
";

/// `openssl ecparam -name prime256v1 -genkey`.
const EC_WITH_PARAMETERS: &str = "-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIHaP07Px5rIKK+Pd3jo1zo2REIhdlB2fZ5VoFsi3LxySoAoGCCqGSM49
AwEHoUQDQgAEGkXC+We+wiiqWXtXKwspV06iiLNCuBPbOB44DrZ2aPTQR0Nt3c/F
akb2E0Q4EpuK+l0RTGFxvBrzbsREecLuKA==
-----END EC PRIVATE KEY-----
";

fn pem(label: &str) -> String {
    format!("-----BEGIN {label}-----\n{BODY}\n-----END {label}-----\n")
}

fn read(text: &str) -> Result<Option<String>, KeyTextError> {
    read_key_text(text.as_bytes()).map(|key| key.map(|key| key.id().to_string()))
}

#[test]
fn every_form_that_the_peer_reads_is_read() {
    let good = pem("PRIVATE KEY");
    let (first, second) = BODY.split_at(30);
    for text in [
        good.clone(),
        pem("ANYTHING AT ALL"),
        good.trim_end().to_owned(),
        good.replace('\n', "\r\n"),
        format!("some words\nbefore\n{good}and after"),
        format!("{good}{}", pem("PRIVATE KEY").replace(BODY, "AAAA")),
        format!("{}{good}", pem("DAMAGED").replace(BODY, "A")),
        good.replace(BODY, &format!("Comment: x\n\n{BODY}")),
        good.replace(BODY, &format!("  {first}  \n\t{second} ")),
        good.replace("KEY-----\n", "KEY-----  \n"),
        BODY.to_owned(),
        format!("  {BODY} \n"),
        format!("{first}\r\n{second}\n"),
        format!("\u{a0}{BODY}\u{2003}"),
        // Non-zero bits behind the last byte, and bytes behind the key.
        "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAAF=".to_owned(),
    ] {
        assert_eq!(read(&text), Ok(Some("NHUPmL1Z_Pw".to_owned())), "{text}");
    }
    assert_eq!(read(""), Ok(None));
}

#[test]
fn every_other_form_is_named() {
    let good = pem("PRIVATE KEY");
    let bare = |length| base64::engine::general_purpose::STANDARD.encode(vec![0xfb; length]);
    for (text, wanted) in [
        (" \n\t".to_owned(), KeyTextError::Blank),
        (good.replace('\n', "\\n"), KeyTextError::LiteralNewlines),
        (good.replace('\n', " "), KeyTextError::OneLine),
        (good.replace('\n', ""), KeyTextError::OneLine),
        (good.replace('\n', "\r"), KeyTextError::CarriageReturns),
        (
            good.replace("-----BEGIN", "  -----BEGIN"),
            KeyTextError::Indented,
        ),
        (
            good.replace("-----END", "\t-----END"),
            KeyTextError::Indented,
        ),
        (format!("\u{feff}{good}"), KeyTextError::ByteOrderMark),
        (format!("\u{feff}{BODY}"), KeyTextError::ByteOrderMark),
        (
            good.replace("END PRIVATE", "END PUBLIC"),
            KeyTextError::DamagedPem,
        ),
        (
            good.replace("-----END PRIVATE KEY-----", ""),
            KeyTextError::DamagedPem,
        ),
        (good.replace(BODY, "*"), KeyTextError::DamagedPem),
        (BODY.replace("BCIE", "BC IE"), KeyTextError::InnerBlanks),
        (
            bare(32).replace('+', "-").replace('/', "_"),
            KeyTextError::UrlSafe,
        ),
        (bare(32), KeyTextError::BareKey(32)),
        (bare(64), KeyTextError::BareKey(64)),
        ("01".repeat(32), KeyTextError::Hexadecimal),
        ("ab".repeat(64), KeyTextError::Hexadecimal),
        (
            "ssh-ed25519 AAAA me@host".to_owned(),
            KeyTextError::SshPublic,
        ),
        (
            pem("OPENSSH PRIVATE KEY").replace(BODY, "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU="),
            KeyTextError::OpenSsh,
        ),
        (
            pem("RSA PRIVATE KEY").replace(BODY, "Proc-Type: 4,ENCRYPTED\n\n*"),
            KeyTextError::Encrypted,
        ),
        (ENCRYPTED_EC.to_owned(), KeyTextError::Encrypted),
        (
            EC_WITH_PARAMETERS.to_owned(),
            KeyTextError::Key(KeyError::Kind("an EC private key in SEC1")),
        ),
        ("hunter2!".to_owned(), KeyTextError::Unknown),
        ("{\"kty\":\"OKP\"}".to_owned(), KeyTextError::Unknown),
        (
            pem("PUBLIC KEY").replace(
                BODY,
                "MCowBQYDK2VwAyEAiojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=",
            ),
            KeyTextError::Key(KeyError::Kind("an Ed25519 public key")),
        ),
        (
            pem("PRIVATE KEY").replace("K2Vw", "K2Vu"),
            KeyTextError::Key(KeyError::Kind("an X25519 private key")),
        ),
        (bare(48), KeyTextError::Key(KeyError::Malformed)),
    ] {
        assert_eq!(read(&text), Err(wanted), "{text}");
    }
    assert_eq!(
        read_key_text(b"\x30\x2e\xff").unwrap_err(),
        KeyTextError::BinaryDer
    );
    assert_eq!(
        read_key_text(b"\xff\xfe").unwrap_err(),
        KeyTextError::NotText
    );
}

#[test]
fn no_error_quotes_the_text() {
    let damaged = pem("PRIVATE KEY").replace("-----END", "----END");
    let message = read(&damaged).unwrap_err().to_string();
    assert!(!message.contains("MC4C"), "{message}");
}
