//! Key text in `config.yaml`, as operators paste it.

use crate::issuer::Setup;

/// The seed of 32 bytes 1, and its kid.
const BODY: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const KID: &str = "NHUPmL1Z_Pw";

fn config(value: &str) -> String {
    format!("bearer.token.core:\n  PrivateKey: {value}\n")
}

#[track_caller]
fn accepts(config: &str) {
    let issuer = Setup::new().with_file("config.yaml", config).serve();
    assert_eq!(
        (issuer.published(), issuer.signer()),
        (vec![KID.into()], KID.into())
    );
}

#[track_caller]
fn refuses(value: &str, wanted: &str) {
    let ended = Setup::new().with_file("config.yaml", &config(value)).end();
    assert_eq!(ended.code, Some(78), "{}", ended.log);
    let expected = "bearer.token.core: PrivateKey is ****************; ";
    assert!(
        ended.log.contains(expected) && ended.log.contains(wanted),
        "{}",
        ended.log
    );
    assert!(!ended.log.contains("AEBAQEB"), "{}", ended.log);
}

#[test]
fn pem_in_a_yaml_block_is_read() {
    accepts(&config(&format!(
        "|\n    -----BEGIN PRIVATE KEY-----\n    {BODY}\n    -----END PRIVATE KEY-----"
    )));
}

#[test]
fn base64_on_one_line_is_read() {
    accepts(&config(BODY));
}

#[test]
fn trailing_blanks_are_read_over() {
    accepts(&config(&format!(
        "|\n    -----BEGIN PRIVATE KEY-----  \n    {BODY}   \n    -----END PRIVATE KEY-----  \n\n"
    )));
    accepts(&config(&format!("\"{BODY}  \"")));
}

#[test]
fn windows_line_ends_are_read() {
    let pem =
        format!("|\n    -----BEGIN PRIVATE KEY-----\n    {BODY}\n    -----END PRIVATE KEY-----");
    accepts(&config(&pem).replace('\n', "\r\n"));
    accepts(&config(&format!("{BODY:?}")).replace(BODY, &format!("{BODY}\\r\\n")));
}

#[test]
fn pem_flattened_into_one_line_is_named() {
    let flat = format!("-----BEGIN PRIVATE KEY----- {BODY} -----END PRIVATE KEY-----");
    refuses(&format!("{flat:?}"), "flattened into one line");
}

#[test]
fn literal_line_ends_are_named() {
    let literal = format!("'-----BEGIN PRIVATE KEY-----\\n{BODY}\\n-----END PRIVATE KEY-----'");
    refuses(&literal, "literal \\n");
}

#[test]
fn every_problem_is_listed_at_once() {
    let setup = Setup::new().with_file(
        "config.yaml",
        "bearer.token.core:\n  PrivateKey: planted\n  AltPrivateKey: 5\n  AuthTokenTTL: 1s\n  Colour: red\n  \
         PrivateKeyFile: ./absent\n  AltPrivateKeyFile: planted\n",
    );
    let ended = setup.end();
    assert_eq!(ended.code, Some(78));
    for name in [
        "PrivateKey is *******;",
        "AltPrivateKey is *;",
        "AuthTokenTTL is 1s;",
        "Colour is not a property",
        "PrivateKeyFile ./absent: it cannot be read",
        "AltPrivateKeyFile is *******;",
    ] {
        assert!(ended.log.contains(name), "{name} not in\n{}", ended.log);
    }
    assert!(!ended.log.contains("planted"), "{}", ended.log);
}

#[test]
fn without_a_key_a_local_process_makes_one_and_says_that_it_is_lost_with_it() {
    let mut issuer = Setup::new().serve();
    assert_eq!(issuer.published(), [issuer.signer()]);
    let log = issuer.log().to_owned();
    assert!(
        log.contains("lost with this process") && log.contains("WARN"),
        "{log}"
    );
}

#[test]
fn the_same_key_twice_is_one_jwk_and_one_warning() {
    let text = format!("{}  AltPrivateKey: {BODY}\n", config(BODY));
    let mut issuer = Setup::new().with_file("config.yaml", &text).serve();
    assert_eq!(issuer.published(), [KID]);
    assert_eq!(issuer.log().matches("are the same key").count(), 1);
}
