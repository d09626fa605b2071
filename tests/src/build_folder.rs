//! Where cargo builds to, and building what a test starts.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Returns the folder that cargo builds into, the one of this very executable.
#[must_use]
pub fn folder() -> PathBuf {
    profile_folder()
        .parent()
        .expect("a profile lies in the build folder")
        .to_owned()
}

/// Builds a binary of this workspace, once per process, and returns its path.
///
/// Cargo makes the path of a binary known to tests of its own package only, and builds it for no others; so it is
/// asked here, for the profile and the folder of this very executable.
#[must_use]
pub fn binary(package: &'static str, name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<&'static str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().expect("no build panicked");
    built
        .entry(package)
        .or_insert_with(|| build(package, name))
        .clone()
}

fn build(package: &str, name: &str) -> PathBuf {
    let folder = profile_folder();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(other) => other,
        None => panic!("{} names no profile", folder.display()),
    };
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--package",
            package,
            "--bin",
            name,
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(self::folder())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .output()
        .expect("cargo built this test, so it is here");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    folder.join(name)
}

fn profile_folder() -> PathBuf {
    let executable = env::current_exe().expect("a running test has a path");
    // <build folder>/<profile>/deps/<test>, or <build folder>/<profile>/<binary>
    let folder = executable
        .ancestors()
        .find(|folder| folder.join(".fingerprint").is_dir());
    folder.expect("cargo built this executable").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_folder_holds_this_test() {
        let test = env::current_exe().unwrap();
        assert!(test.starts_with(folder()));
    }
}
