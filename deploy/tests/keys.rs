//! `keys`: what an operator learns of a key file before it is deployed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use microbus_token::{Jwk, JwkSet, Secret, SigningKey};
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// PKCS#8 of the seeds 32×01, 32×02 and 32×03, as base64 of the DER.
const KEY_1: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const KEY_2: &str = "MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";
const KEY_3: &str = "MC4CAQAwBQYDK2VwBCIEIAMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD";
const KID_1: &str = "NHUPmL1Z_Pw";

/// A folder of key files and JWK Sets.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Asks for the file of one key, with another as the alternate, where the keys of `running` are served.
    fn planned(
        &self,
        primary: &str,
        alternate: Option<&str>,
        running: &[u8],
        more: &[&str],
    ) -> (Vec<String>, Value, i32) {
        let primary = self.file("primary.pem", primary, 0o600);
        let jwks = self.file("jwks.json", jwk_set(running), 0o644);
        let mut command = keys();
        command
            .arg(primary)
            .arg("--jwks")
            .arg(jwks)
            .arg("--json")
            .args(more);
        if let Some(alternate) = alternate {
            command
                .arg("--alt")
                .arg(self.file("alternate.pem", alternate, 0o440));
        }
        let output = command.output().unwrap();
        let said = text(&output.stdout);
        let json: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
        let findings = json["findings"].as_array().unwrap();
        let codes = findings
            .iter()
            .map(|finding| finding["code"].as_str().unwrap().to_owned());
        (codes.collect(), json.clone(), output.status.code().unwrap())
    }
}

fn keys() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_microbus-deploy"));
    command.arg("keys");
    command
}

fn run(command: &mut Command) -> (String, String, i32) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    (text(&stdout), text(&stderr), status.code().unwrap())
}

fn jwk_set(seeds: &[u8]) -> String {
    let mut set = JwkSet::default();
    for seed in seeds {
        let key = SigningKey::from_seed(&Secret::new(vec![*seed; 32])).unwrap();
        set.push(Jwk::of(&key)).unwrap();
    }
    set.to_json()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn kid_and_public_jwk_are_shown_and_the_private_half_is_not() {
    let desk = Desk::new();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{KEY_1}\n-----END PRIVATE KEY-----\n");
    let (shown, _, exit) = run(keys().arg(desk.file("key.pem", pem, 0o600)));
    assert_eq!(exit, 0);
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w","kid":"NHUPmL1Z_Pw","use":"sig","alg":"EdDSA"}"#;
    assert!(
        shown.contains(jwk) && shown.contains("kid    NHUPmL1Z_Pw"),
        "{shown}"
    );
    assert!(shown.contains("not compared"), "{shown}");
    assert!(
        !shown.contains(&KEY_1[20..]) && !shown.contains("AQEBAQEB"),
        "{shown}"
    );
}

#[test]
fn a_rotation_by_the_book_is_safe() {
    let desk = Desk::new();
    for (primary, alternate, running, state, outcome) in [
        (KEY_1, None, &[][..], "new", "the first key"),
        (KEY_2, Some(KEY_1), &[1], "new", "a rotation"),
        (KEY_2, Some(KEY_1), &[2, 1], "primary", "no rotation"),
        (
            KEY_1,
            Some(KEY_2),
            &[2, 1],
            "alternate",
            "the alternate becomes the primary",
        ),
    ] {
        let (findings, json, exit) = desk.planned(primary, alternate, running, &[]);
        assert_eq!((findings, exit), (Vec::new(), 0), "{json}");
        assert_eq!(json["keys"][0]["state"], state, "{json}");
        assert!(
            json["outcome"].as_str().unwrap().starts_with(outcome),
            "{json}"
        );
    }
}

#[test]
fn what_would_go_wrong_is_named() {
    let desk = Desk::new();
    for (primary, alternate, running, findings) in [
        (KEY_1, Some(KEY_2), &[1][..], &["alternate_incoming"][..]),
        (
            KEY_2,
            Some(KEY_3),
            &[1],
            &["alternate_incoming", "vanishes"],
        ),
        (KEY_2, None, &[1], &["vanishes"]),
        (KEY_2, None, &[2, 1], &["vanishes"]),
        (KEY_1, Some(KEY_1), &[1], &["same_key"]),
        ("", None, &[1], &["no_key", "vanishes"]),
    ] {
        let (found, json, exit) = desk.planned(primary, alternate, running, &[]);
        assert_eq!(
            (&*found, exit),
            (
                findings
                    .iter()
                    .map(|code| (*code).to_owned())
                    .collect::<Vec<_>>()
                    .as_slice(),
                1
            ),
            "{json}"
        );
    }
}

#[test]
fn an_old_key_may_go_when_its_last_token_has_ended() {
    let desk = Desk::new();
    let planned = |more: &[&str]| desk.planned(KEY_2, None, &[2, 1], more);
    let (findings, json, exit) = planned(&[
        "--auth-token-ttl",
        "1h",
        "--signed-until",
        "2020-01-01T00:00:00Z",
    ]);
    assert_eq!((findings, exit), (Vec::new(), 0), "{json}");
    let (findings, json, exit) =
        planned(&["--signed-until", "4102444800", "--auth-token-ttl", "1h"]);
    assert_eq!(
        (findings.as_slice(), exit),
        (&["vanishes".to_owned()][..], 1),
        "{json}"
    );
    let said = json["findings"][0]["text"].as_str().unwrap();
    assert!(
        said.contains(KID_1) && said.contains("until 2100-01-01T01:05:00Z"),
        "{said}"
    );
}

#[test]
fn a_file_that_others_may_read_is_a_finding() {
    let desk = Desk::new();
    let (shown, _, exit) = run(keys().arg(desk.file("key.pem", KEY_1, 0o644)));
    assert_eq!(exit, 1);
    assert!(
        shown.contains("open_to_others: ") && shown.contains("its mode is 0644"),
        "{shown}"
    );
}

#[test]
fn what_is_no_key_is_refused_with_what_it_is() {
    let desk = Desk::new();
    let flat = format!("-----BEGIN PRIVATE KEY----- {KEY_1} -----END PRIVATE KEY-----");
    let der: &[u8] = &[0x30, 0x2e, 0x02, 0x01, 0xff, 0xfe];
    for (content, said) in [
        (flat.as_bytes(), "PEM flattened into one line"),
        ("01".repeat(32).as_bytes(), "hexadecimal"),
        (b"ssh-ed25519 AAAA me@desk", "an SSH public key"),
        (b" \n", "nothing but blanks"),
        (der, "binary DER"),
        (&[b'x'; 20_000], "more than 16384 bytes"),
    ] {
        let (_, complained, exit) = run(keys().arg(desk.file("key.pem", content, 0o600)));
        assert_eq!(exit, 78, "{complained}");
        assert!(
            complained.contains(said) && complained.contains("key.pem"),
            "{complained}"
        );
    }
    let (_, complained, exit) = run(keys().arg(desk.folder.path().join("missing.pem")));
    assert_eq!(exit, 78);
    assert!(complained.contains("missing.pem"), "{complained}");
    let (_, complained, exit) = run(keys().arg(desk.folder.path()));
    assert_eq!(exit, 78);
    assert!(complained.contains("not a file"), "{complained}");
}

#[test]
fn a_jwk_set_on_standard_input_is_read_and_a_broken_one_is_named() {
    let desk = Desk::new();
    let key = desk.file("key.pem", KEY_1, 0o600);
    let piped = |set: &str| {
        let mut child = keys()
            .arg(&key)
            .args(["--jwks", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(set.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        (
            text(&output.stdout),
            text(&output.stderr),
            output.status.code(),
        )
    };
    let (shown, _, exit) = piped(&jwk_set(&[1]));
    assert!(
        shown.contains("primary: first in the running JWK Set"),
        "{shown}"
    );
    assert_eq!(exit, Some(0));
    let leaking = jwk_set(&[1]).replace(r#""kty""#, r#""d":"AQEB","kty""#);
    let (_, complained, exit) = piped(&leaking);
    assert!(
        complained.contains("jwks_private_key") && exit == Some(1),
        "{complained}"
    );
}
