//! Keys as `openssl` itself makes them, and its verdict on what they sign. The command has to be installed.

use crate::issuer::Setup;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Runs `openssl` in `folder`; a word is an argument.
fn openssl(folder: &Path, words: &str) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| {
            panic!("the feature openssl-tests demands the openssl command: {error}")
        });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words}: {errors}");
    output.stdout
}

fn folder_with_key() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    openssl(folder.path(), "genpkey -algorithm ed25519 -out key.pem");
    openssl(folder.path(), "pkey -in key.pem -pubout -out public.pem");
    folder
}

fn read(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

fn block(text: &str) -> String {
    let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
    format!("bearer.token.core:\n  PrivateKey: |\n{indented}")
}

/// Asks `openssl` whether `token` was signed by the key in the folder.
fn verifies(folder: &TempDir, token: &str) {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    fs::write(folder.path().join("signed"), signed).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    fs::write(folder.path().join("signature"), signature).unwrap();
    openssl(
        folder.path(),
        "pkeyutl -verify -pubin -inkey public.pem -rawin -in signed -sigfile signature",
    );
}

#[test]
fn a_key_of_openssl_signs_tokens_that_openssl_verifies_in_every_form_it_is_pasted() {
    let folder = folder_with_key();
    let pem = read(&folder, "key.pem");
    let base64 = STANDARD.encode(openssl(folder.path(), "pkey -in key.pem -outform DER"));
    let config = |value: &str| format!("bearer.token.core:\n  PrivateKey: {value}\n");
    for text in [
        block(&pem),
        block(&pem).replace('\n', "\r\n"),
        block(&pem.replace('\n', "  \n")),
        config(&base64),
        config(&format!("\"  {base64} \"")),
        config(&format!("{pem:?}")),
    ] {
        let issuer = Setup::new().with_file("config.yaml", &text).serve();
        verifies(&folder, &issuer.mint(r#"{"claims":{"sub":"harry"}}"#));
    }
}

#[test]
fn a_key_of_openssl_in_a_file_signs_tokens_that_openssl_verifies() {
    let folder = folder_with_key();
    for content in [
        read(&folder, "key.pem"),
        read(&folder, "key.pem").replace('\n', "\r\n"),
    ] {
        let issuer = Setup::new()
            .with_file("key", &content)
            .with_variable("MICROBUS_PRIVATE_KEY_FILE", "./key")
            .serve();
        verifies(&folder, &issuer.mint("{}"));
    }
}

#[test]
fn every_other_key_of_openssl_is_named_and_refused() {
    let folder = folder_with_key();
    for (words, wanted) in [
        ("pkey -in key.pem -pubout", "an Ed25519 public key"),
        (
            "pkey -in key.pem -aes256 -passout pass:x",
            "encrypted private key",
        ),
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            "RSA private key",
        ),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            "EC private key",
        ),
        ("genpkey -algorithm X25519", "an X25519 private key"),
        ("genpkey -algorithm ed448", "an Ed448 private key"),
        ("ecparam -genkey -noout -name prime256v1", "EC"),
        ("ecparam -genkey -name prime256v1", "an EC private key"),
        (
            "genrsa -traditional -aes128 -passout pass:x 2048",
            "an encrypted private key",
        ),
        ("pkey -in key.pem -text", "-"),
    ] {
        let text = String::from_utf8(openssl(folder.path(), words)).unwrap();
        let setup = Setup::new().with_file("config.yaml", &block(&text));
        if wanted == "-" {
            // A key with its readable form behind it: the first PEM block counts.
            let issuer = setup.serve();
            verifies(&folder, &issuer.mint("{}"));
            continue;
        }
        let ended = setup.end();
        assert_eq!(ended.code, Some(78), "{words}: {}", ended.log);
        assert!(ended.log.contains(wanted), "{words}: {}", ended.log);
    }
}
