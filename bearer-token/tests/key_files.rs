//! Keys from files: where their names come from, and what a change of them does to a running process.

use crate::issuer::{Issuer, Setup};
use rustix::process::Signal;
use std::os::unix::fs::{PermissionsExt as _, symlink};

const FIRST: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const FIRST_ID: &str = "NHUPmL1Z_Pw";
const SECOND: &str = "MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";
const SECOND_ID: &str = "ajgD1fBZkCo";

#[test]
fn a_path_comes_from_the_configuration_else_the_variable_else_the_credentials_of_systemd() {
    let key = |setup: Setup| {
        setup
            .with_file("PrivateKey", FIRST)
            .with_file("other", SECOND)
    };
    let credentials = |setup: Setup| {
        let folder = setup.path("").to_str().unwrap().to_owned();
        setup.with_variable("CREDENTIALS_DIRECTORY", &folder)
    };
    let variable = |setup: Setup| setup.with_variable("MICROBUS_PRIVATE_KEY_FILE", "./other");
    let config = |setup: Setup| {
        setup.with_file(
            "config.yaml",
            "bearer.token.core:\n  PrivateKeyFile: ./PrivateKey\n",
        )
    };
    let issuer = credentials(key(Setup::new())).serve();
    assert_eq!(issuer.published(), [FIRST_ID]);
    let issuer = variable(credentials(key(Setup::new()))).serve();
    assert_eq!(issuer.published(), [SECOND_ID]);
    let issuer = config(variable(key(Setup::new()))).serve();
    assert_eq!(issuer.published(), [FIRST_ID]);
}

#[test]
fn a_file_counts_more_than_a_text_and_a_warning_says_so() {
    let text = format!("bearer.token.core:\n  PrivateKey: {FIRST}\n  PrivateKeyFile: ./key\n");
    let setup = Setup::new()
        .with_file("config.yaml", &text)
        .with_file("key", SECOND);
    let mut issuer = setup.serve();
    assert_eq!(issuer.published(), [SECOND_ID]);
    let warning = "Both PrivateKey and PrivateKeyFile give a key: the file counts";
    assert_eq!(issuer.log().matches(warning).count(), 1);
}

#[test]
fn a_kubernetes_mount_is_swapped_and_the_outgoing_key_signs_on() {
    let setup = Setup::new()
        .with_variable("MICROBUS_PRIVATE_KEY_FILE", "./PrivateKey")
        .with_variable("MICROBUS_ALT_PRIVATE_KEY_FILE", "./AltPrivateKey");
    for (folder, primary, alternate) in [("..one", FIRST, ""), ("..two", SECOND, FIRST)] {
        std::fs::create_dir(setup.path(folder)).unwrap();
        std::fs::write(setup.path(folder).join("PrivateKey"), primary).unwrap();
        std::fs::write(setup.path(folder).join("AltPrivateKey"), alternate).unwrap();
    }
    for name in ["PrivateKey", "AltPrivateKey"] {
        symlink(format!("..data/{name}"), setup.path(name)).unwrap();
    }
    symlink("..one", setup.path("..data")).unwrap();
    let mut issuer = setup.serve();
    assert_eq!(issuer.published(), [FIRST_ID]);

    let path = |name: &str| issuer.folder().join(name);
    symlink("..two", path("..data_tmp")).unwrap();
    std::fs::rename(path("..data_tmp"), path("..data")).unwrap();
    std::fs::remove_dir_all(path("..one")).unwrap();
    let line = issuer.until("Key published");
    assert!(line.contains(SECOND_ID), "{line}");
    assert_eq!(issuer.published(), [SECOND_ID, FIRST_ID]);
    assert_eq!(issuer.signer(), FIRST_ID);
    let line = issuer.until("Key signs");
    assert!(line.contains(SECOND_ID), "{line}");
    assert_eq!(issuer.signer(), SECOND_ID);
    assert!(!issuer.log().contains("withdrawn"), "{}", issuer.log());
}

#[test]
fn in_two_changes_alternate_first_files_rotate_and_no_key_is_withdrawn() {
    let mut issuer = with_both_files();
    replace(&issuer, "alternate", FIRST);
    issuer.until("are the same key");
    assert_eq!(issuer.published(), [FIRST_ID]);
    replace(&issuer, "primary", SECOND);
    issuer.until("Key published");
    assert_eq!(issuer.published(), [SECOND_ID, FIRST_ID]);
    assert_eq!(issuer.signer(), FIRST_ID);
    issuer.until("Key signs");
    assert_eq!(issuer.signer(), SECOND_ID);
    assert!(!issuer.log().contains("withdrawn"), "{}", issuer.log());
}

#[test]
fn in_two_changes_primary_first_the_outgoing_key_signs_on_and_is_published_when_its_file_is_there()
{
    let mut issuer = with_both_files();
    replace(&issuer, "primary", SECOND);
    let warning = issuer.until("Key withdrawn while it signs");
    assert!(warning.contains(FIRST_ID), "{warning}");
    assert_eq!(
        (issuer.published(), issuer.signer()),
        (vec![SECOND_ID.into()], FIRST_ID.into())
    );
    replace(&issuer, "alternate", FIRST);
    let line = issuer.until("Key published");
    assert!(line.contains(&format!("kid={FIRST_ID}")), "{line}");
    assert_eq!(issuer.published(), [SECOND_ID, FIRST_ID]);
    assert_eq!(issuer.signer(), FIRST_ID);
    let line = issuer.until("Key signs");
    assert!(line.contains(&format!("kid={SECOND_ID}")), "{line}");
    assert_eq!(issuer.signer(), SECOND_ID);
}

#[test]
fn a_leaked_key_that_was_replaced_is_gone_and_signs_no_more_from_the_signal_on() {
    let mut issuer = with_both_files();
    replace(&issuer, "primary", SECOND);
    issuer.until("Key withdrawn while it signs");
    assert_eq!(issuer.published(), [SECOND_ID]);
    issuer.send(Signal::USR1);
    let line = issuer.until("Key signs");
    assert!(line.contains(&format!("kid={SECOND_ID}")), "{line}");
    assert_eq!(issuer.signer(), SECOND_ID);
    issuer.send(Signal::USR1);
    issuer.until("Nothing to rotate");
}

/// Starts an issuer with the first key in a file, and an empty file for the alternate.
fn with_both_files() -> Issuer {
    Setup::new()
        .with_file("primary", FIRST)
        .with_file("alternate", "")
        .with_variable("MICROBUS_PRIVATE_KEY_FILE", "./primary")
        .with_variable("MICROBUS_ALT_PRIVATE_KEY_FILE", "./alternate")
        .serve()
}

fn replace(issuer: &Issuer, name: &str, content: &str) {
    let draft = issuer.folder().join("draft");
    std::fs::write(&draft, content).unwrap();
    std::fs::rename(draft, issuer.folder().join(name)).unwrap();
}

#[test]
fn a_file_that_disappears_leaves_the_key_and_one_alarm() {
    let setup = Setup::new()
        .with_file("key", FIRST)
        .with_variable("MICROBUS_PRIVATE_KEY_FILE", "./key");
    let mut issuer = setup.serve();
    std::fs::remove_file(issuer.folder().join("key")).unwrap();
    let line = issuer.until("Key file cannot be used");
    assert!(
        line.contains("ERROR") && line.contains("entity not found"),
        "{line}"
    );
    std::fs::write(issuer.folder().join("key"), "planted").unwrap();
    let line = issuer.until("Key file cannot be used");
    assert!(
        line.contains("neither PEM nor base64") && !line.contains("planted"),
        "{line}"
    );
    assert_eq!(
        (issuer.signer(), issuer.published()),
        (FIRST_ID.into(), vec![FIRST_ID.into()])
    );
    std::fs::write(issuer.folder().join("key"), FIRST).unwrap();
    issuer.until("Key file read");
    assert_eq!(issuer.log().matches("entity not found").count(), 1);
}

#[test]
fn an_alternate_that_is_taken_away_is_gone_and_the_warning_says_until_when_its_tokens_live() {
    let setup = Setup::new()
        .with_file(
            "config.yaml",
            &format!("bearer.token.core:\n  PrivateKey: {FIRST}\n"),
        )
        .with_file("alternate", SECOND)
        .with_variable("MICROBUS_ALT_PRIVATE_KEY_FILE", "./alternate");
    let mut issuer = setup.serve();
    assert_eq!(issuer.published(), [FIRST_ID, SECOND_ID]);
    std::fs::write(issuer.folder().join("alternate"), "").unwrap();
    let line = issuer.until("Key withdrawn while its tokens can live");
    assert!(
        line.contains(SECOND_ID) && line.contains("until=20") && line.contains("WARN"),
        "{line}"
    );
    assert_eq!(issuer.published(), [FIRST_ID]);
}

#[test]
fn in_prod_a_file_that_others_may_read_is_refused_before_the_bus_is_looked_for() {
    let setup = Setup::new()
        .with_file("key", FIRST)
        .with_variable("MICROBUS_PRIVATE_KEY_FILE", "./key")
        .with_variable("MICROBUS_ALT_PRIVATE_KEY_FILE", "./absent")
        .with_variable("MICROBUS_NATS", "nats://127.0.0.1:1")
        .with_variable("MICROBUS_DEPLOYMENT", "PROD");
    std::fs::set_permissions(setup.path("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let ended = setup.end();
    assert_eq!(ended.code, Some(78), "{}", ended.log);
    assert!(
        ended.log.contains("PrivateKeyFile ./key: its mode is 0644"),
        "{}",
        ended.log
    );
    assert!(ended.log.contains("wanted is 0440"), "{}", ended.log);
    assert!(
        ended
            .log
            .contains("AltPrivateKeyFile ./absent: it cannot be read"),
        "{}",
        ended.log
    );
}
