//! The walk of the README, each command as it stands there: it needs `bash` and `curl`.

use e2e::Product;
use e2e::build_folder;
use std::net::TcpListener;
use std::process::Command;

/// Returns the commands under this heading of the README.
fn commands(heading: &str) -> String {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once(&format!("\n{heading}\n")).unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    block.split("```").next().unwrap().to_owned()
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn the_walk_mints_counts_refuses_and_leaves_a_whole_trail() {
    let binaries = [
        (Product::ACCESS_TOKEN.package, Product::ACCESS_TOKEN.binary),
        (Product::BEARER_TOKEN.package, Product::BEARER_TOKEN.binary),
        ("microbus-deploy", "microbus-deploy"),
    ];
    let folders = binaries.map(|(package, binary)| {
        let path = build_folder::binary(package, binary);
        path.parent().unwrap().to_str().unwrap().to_owned()
    });
    let path = format!("{}:{}", folders.join(":"), std::env::var("PATH").unwrap());
    // Other tests, and whoever sits at this machine, may have the ports of the README.
    let script = commands("### See it work")
        .replace("8666", &free_port())
        .replace("8667", &free_port());
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &script])
        .env_clear()
        .env("PATH", path)
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{log}");
    let lines: Vec<&str> = said.lines().collect();
    let at = |part: &str| lines.iter().position(|line| line.contains(part));
    let order: Vec<_> = [
        "{\"token\":\"ey",
        "microbus_token_minted_total{caller=\"access.token.core\"",
        "not among Minters",
        "reason=\"not_a_minter\"",
        "\"sub\":\"harry\"",
        "whole: 2 lines",
    ]
    .map(|part| at(part).ok_or(part))
    .into_iter()
    .collect::<Result<_, _>>()
    .map_err(|part| format!("no {part} in\n{said}\n{log}"))
    .unwrap();
    assert!(order.is_sorted(), "{said}");
    let counted = lines.get(order[1]).unwrap();
    assert!(counted.ends_with(" 1"), "{counted}");
    let audited = lines.get(order[4]).unwrap();
    assert!(
        audited.contains("\"outcome\":\"minted\"") && !audited.contains("eyJ"),
        "{audited}"
    );
    assert!(
        log.contains("first-seen-caller") && log.contains("not_a_minter"),
        "{log}"
    );
}
