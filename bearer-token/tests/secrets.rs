//! Key material is planted in every source, and looked for in everything that leaves the process.

use crate::issuer::Setup;
use crate::planted::Planted;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustix::process::Signal;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

#[test]
fn the_search_finds_what_it_looks_for() {
    let planted = Planted::new(3);
    for leak in [
        planted.seed.to_vec(),
        planted.text().into_bytes(),
        planted.pem().into_bytes(),
        format!("{:?}", planted.seed).into_bytes(),
        URL_SAFE_NO_PAD.encode(planted.seed).into_bytes(),
        format!("{:02x?}", planted.seed)
            .replace([',', ' '], "")
            .into_bytes(),
        planted.text().as_bytes()[20..52].to_vec(),
    ] {
        let found = std::panic::catch_unwind(|| planted.is_not_in("the leak", &leak));
        assert!(found.is_err(), "{leak:?}");
    }
    planted.is_not_in("a public text", b"MC4CAQAwBQYDK2VwBCIEIA");
}

#[test]
fn a_serving_process_gives_no_key_away_and_takes_none_to_disk() {
    let planted = [
        Planted::new(3),
        Planted::new(4),
        Planted::new(5),
        Planted::new(6),
    ];
    let [text, alternate, file, replacement] = &planted;
    let config = format!(
        "bearer.token.core:\n  PrivateKey: {}\n  AltPrivateKey: {}\n  PrivateKeyFile: ./key.pem\n",
        text.text(),
        alternate.text(),
    );
    let mut issuer = Setup::new()
        .with_file("config.yaml", &config)
        .with_file("key.pem", &file.pem())
        .with_variable("MICROBUS_LOG_DEBUG", "1")
        .serve();
    fs::write(issuer.folder().join("key.pem"), replacement.pem()).unwrap();
    issuer.until("Key published");
    fs::write(
        issuer.folder().join("key.pem"),
        text.pem().replace('\n', " "),
    )
    .unwrap();
    issuer.until("Key file cannot be used");

    let process = format!("/proc/{}", issuer.id());
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    assert_eq!(
        core.unwrap()
            .split_whitespace()
            .skip(4)
            .take(2)
            .collect::<Vec<_>>(),
        ["0", "0"]
    );
    let mut seen = vec![
        (
            "its command line",
            fs::read(format!("{process}/cmdline")).unwrap(),
        ),
        // To any other user but root even this is closed.
        (
            "its environment",
            fs::read(format!("{process}/environ")).unwrap_or_default(),
        ),
    ];
    for (request, body) in [
        ("GET /jwks", ""),
        ("GET /healthz", ""),
        ("GET /readyz", ""),
        ("GET /metrics", ""),
        ("GET /status.json", ""),
        ("GET /", ""),
        ("GET /config.yaml", ""),
        ("POST /mint", r#"{"claims":{"sub":"harry"}}"#),
        ("POST /mint", "{"),
        ("POST /mint", r#"{"claims":[]}"#),
    ] {
        seen.push((request, issuer.exchange(request, body).into_bytes()));
    }
    let files = files_in(issuer.folder());
    let end = issuer.end_by(Signal::ABORT);
    assert_eq!(
        (end.signal(), end.core_dumped()),
        (Some(Signal::ABORT.as_raw()), false)
    );
    assert_eq!(files_in(issuer.folder()), files, "it wrote no file");
    seen.push(("its log", issuer.log().as_bytes().to_vec()));
    for key in &planted {
        for (place, content) in &seen {
            key.is_not_in(place, content);
        }
    }
}

#[test]
fn a_process_that_refuses_to_start_gives_no_key_away() {
    let planted = Planted::new(9);
    let flat = planted.pem().replace('\n', " ");
    let hexadecimal: String = planted
        .seed
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let named = |value: &str| {
        let config = format!("bearer.token.core:\n  PrivateKeyFile: {value:?}\n");
        Setup::new().with_file("config.yaml", &config)
    };
    let texts = |value: &str| {
        let config =
            format!("bearer.token.core:\n  PrivateKey: {value:?}\n  AltPrivateKey: [{value:?}]\n");
        Setup::new().with_file("config.yaml", &config)
    };
    for setup in [
        texts(&flat),
        texts(&hexadecimal),
        texts(&STANDARD.encode(planted.seed)),
        named(&planted.text()),
        named(&planted.pem()),
        named("./key").with_file("key", &flat),
        named("./key").with_file("key", &hexadecimal),
        Setup::new().with_variable("MICROBUS_PRIVATE_KEY_FILE", &planted.text()),
        Setup::new().with_variable("MICROBUS_ALT_PRIVATE_KEY_FILE", &planted.pem()),
    ] {
        let ended = setup.end();
        assert_eq!(ended.code, Some(78), "{}", ended.log);
        planted.is_not_in("its last words", ended.log.as_bytes());
    }
}

#[test]
fn a_configuration_file_that_does_not_parse_is_not_quoted() {
    let planted = Planted::new(12);
    let config = format!("bearer.token.core:\n  PrivateKey: [{}\n", planted.text());
    let mut issuer = Setup::new().with_file("config.yaml", &config).serve();
    assert!(issuer.log().contains("Parsing config file"));
    planted.is_not_in("its log", issuer.log().as_bytes());
    for deployment in ["PROD", "LAB"] {
        let ended = Setup::new()
            .with_file("config.yaml", &config)
            .with_variable("MICROBUS_DEPLOYMENT", deployment)
            .end();
        assert_eq!(ended.code, Some(78), "{}", ended.log);
        assert!(
            ended
                .log
                .contains("/config.yaml cannot be used: not valid YAML at line"),
            "{}",
            ended.log
        );
        planted.is_not_in("its last words", ended.log.as_bytes());
    }
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
