//! The example issuer mints tokens with what its transformer adds, and refuses what it refuses.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The example's process, ended with the test.
struct Example {
    process: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Drop for Example {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Cargo builds examples for tests, beside the folder of the test's own binary.
fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join("custom_issuer")
}

fn start() -> Example {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Command::new(binary())
        .arg("--door=127.0.0.1:0")
        .env_clear()
        .current_dir(directory.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let line = lines
        .map(Result::unwrap)
        .find(|line| line.contains("curl"))
        .unwrap();
    let address = line
        .split("http://")
        .nth(1)
        .unwrap()
        .split("/mint")
        .next()
        .unwrap()
        .to_owned();
    Example {
        process,
        address,
        _directory: directory,
    }
}

fn mint(address: &str, claims: &str) -> String {
    let body = format!("{{\"claims\":{claims}}}");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /mint HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_tenant_is_taken_from_the_email_and_without_one_nothing_is_minted() {
    let example = start();
    let minted = mint(&example.address, r#"{"email":"harry@hogwarts.example"}"#);
    let token = minted
        .split("\"token\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(token)
        .unwrap()
        .claims;
    assert_eq!(claims["tenant"], "hogwarts.example");
    assert_eq!(claims["iss"], "https://access.token.core");
    let refused = mint(&example.address, "{}");
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    assert!(refused.contains("an email claim is required"), "{refused}");
}
