//! One command brings up a whole bus, finds nothing wrong with it, and takes it down again.

use e2e::child::Child;
use e2e::{PATIENCE, Product, build_folder, nats_binary};
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Returns the command, as an operator would type it in an empty directory.
fn up(folder: &Path, arguments: &[&str]) -> Command {
    let tool = build_folder::binary("microbus-deploy", "microbus-deploy");
    for product in [Product::ACCESS_TOKEN, Product::BEARER_TOKEN] {
        let beside = build_folder::binary(product.package, product.binary);
        assert_eq!(beside.parent(), tool.parent());
    }
    let mut command = Command::new(tool);
    command
        .args(["up", "--directory", "bus", "--nats-server"])
        .arg(nats_binary::locate())
        .args(arguments)
        .current_dir(folder);
    command
}

/// Returns the ids of processes that work below `folder`.
fn processes_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let works_there = |id: &String| {
        std::fs::read_link(format!("/proc/{id}/cwd"))
            .is_ok_and(|directory| directory.starts_with(folder))
    };
    let ids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(works_there)
        .collect()
}

#[tokio::test]
async fn a_bus_comes_up_green_mints_and_goes_down_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    let command = up(folder.path(), &[]);
    let began = Instant::now();
    let mut child = Child::start("up", command);
    let mut log = child.log();
    let stop = log.line("Stop:", GREEN_WITHIN).await;
    assert!(
        stop.is_some(),
        "not up after {:?}:\n{}",
        began.elapsed(),
        log.text()
    );
    let text = log.text();
    assert!(
        text.contains(" 0 warnings, 0 failed, 0 could not be told"),
        "{text}"
    );
    for check in [
        "issuers-up",
        "enforcement",
        "first-verification",
        "creds-accepted",
    ] {
        let line = text.lines().find(|line| line.contains(check)).unwrap();
        assert!(line.starts_with("PASS"), "{line}");
    }

    // What it prints is ready to paste.
    let mint = text
        .lines()
        .find(|line| line.starts_with("Mint a token:"))
        .unwrap();
    let words = mint
        .split_once("microbus-deploy ")
        .unwrap()
        .1
        .replace('\'', "");
    let minted = Command::new(build_folder::binary("microbus-deploy", "microbus-deploy"))
        .args(words.split(' '))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let token = String::from_utf8(minted.stdout).unwrap();
    assert!(
        token.starts_with("eyJ") && token.matches('.').count() == 2,
        "{token}"
    );

    // Each process works in a directory of its own, and no seed is on a command line or in an environment.
    let bus = folder.path().canonicalize().unwrap().join("bus");
    let ids = processes_in(&bus);
    assert_eq!(ids.len(), 3, "{ids:?}");
    for id in &ids {
        for file in ["cmdline", "environ"] {
            let told = std::fs::read(format!("/proc/{id}/{file}")).unwrap();
            let told = String::from_utf8_lossy(&told).into_owned();
            for seed in [
                "operator.nk",
                "operator-sk.nk",
                "account.nk",
                "account-sk.nk",
                "sys.nk",
            ] {
                let seed = std::fs::read_to_string(bus.join("ops").join(seed)).unwrap();
                assert!(!told.contains(seed.trim()), "{id} {file}");
            }
        }
    }

    child.signal(Signal::TERM);
    assert!(child.exit(PATIENCE).await.success());
    assert!(processes_in(&bus).is_empty());
}

/// A terminal that is closed sends SIGHUP.
#[tokio::test]
async fn a_bus_whose_terminal_is_closed_goes_down_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Child::start("up", up(folder.path(), &[]));
    let stop = child.log().line("Stop:", GREEN_WITHIN).await;
    assert!(stop.is_some(), "{}", child.log().text());
    child.signal(Signal::HUP);
    assert!(child.exit(PATIENCE).await.success());
    let bus = folder.path().canonicalize().unwrap().join("bus");
    assert!(processes_in(&bus).is_empty());
}

#[tokio::test]
async fn keys_of_an_earlier_bus_are_not_overwritten_and_a_missing_program_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bus")).unwrap();
    std::fs::write(folder.path().join("bus/keys"), "").unwrap();
    let refused = up(folder.path(), &["--once"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not empty"));

    let tool = build_folder::binary("microbus-deploy", "microbus-deploy");
    let missing = Command::new(&tool)
        .args(["up", "--once", "--issuers", "."])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("./access-token is not there"));
}

#[tokio::test]
async fn a_process_that_ends_at_once_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken-server");
    std::fs::write(
        &broken,
        "#!/bin/sh\necho starting\necho no room >&2\nexit 3\n",
    )
    .unwrap();
    std::fs::set_permissions(&broken, PermissionsExt::from_mode(0o755)).unwrap();
    let ended = Command::new(build_folder::binary("microbus-deploy", "microbus-deploy"))
        .args(["up", "--once", "--nats-server"])
        .arg(&broken)
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(69));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        said.contains("nats-server ended with exit status: 3: no room;"),
        "{said}"
    );
}

/// The promise of the README.
const GREEN_WITHIN: Duration = Duration::from_secs(30);
