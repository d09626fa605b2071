//! Units, images and manifests before the tools that will read them: systemd, buildah and umoci, kustomize and the schemas
//! of Kubernetes and Compose.
//!
//! Behind the feature `packaging-tests`, because it needs `systemd-analyze`, `buildah`, `umoci`, `unshare`, Go and Python.

use e2e::child::Child;
use e2e::{Bus, PATIENCE, Product, build_folder};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The most that `systemd-analyze security` may find, in tenths; the units stand at 0.9 with systemd 252.
const EXPOSURE: &str = "10";
const KUSTOMIZE: &str = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1";
const UNITS: [&str; 2] = [
    "microbus-access-token.service",
    "microbus-bearer-token.service",
];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

/// Runs a tool to its end. One that is not there has to be installed: `.ci/run` says how.
fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a tool that must succeed and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Judges `unit` without a systemd that runs.
fn security(unit: &Path) -> Output {
    output(
        Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(format!("--threshold={EXPOSURE}"))
            .arg(unit),
    )
}

#[test]
fn the_units_are_exposed_less_than_they_may_be_and_would_not_be_without_their_hardening() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        let unit = root().join("deploy/systemd").join(name);
        let judged = security(&unit);
        assert!(judged.status.success(), "{judged:?}");
        let text = fs::read_to_string(unit).unwrap();
        let bare = text
            .replace("SystemCallFilter=", "#")
            .replace("DynamicUser=", "#");
        let worse = folder.path().join(name);
        fs::write(&worse, bare).unwrap();
        assert!(!security(&worse).status.success());
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNITS {
        let text = fs::read_to_string(root().join("deploy/systemd").join(name)).unwrap();
        // The binary is not installed here; everything else is as it will be.
        let here = text.replace("ExecStart=/usr/local/bin/", "ExecStart=/bin/true #");
        let unit = folder.path().join(name);
        fs::write(&unit, here).unwrap();
        let verified = output(
            Command::new("systemd-analyze")
                .args(["verify", "--man=no"])
                .arg(&unit),
        );
        let said = String::from_utf8_lossy(&verified.stderr);
        let complaints: Vec<_> = said.lines().filter(|line| line.contains(name)).collect();
        assert!(verified.status.success() && complaints.is_empty(), "{said}");
    }
}

#[test]
fn the_manifests_and_the_compose_file_meet_their_schemas() {
    let tools = build_folder::folder().join("packaging");
    fs::create_dir_all(&tools).unwrap();
    run(Command::new("go")
        .env("GOBIN", &tools)
        .args(["install", KUSTOMIZE]));
    let validate = |kind: &str, file: &Path| {
        output(
            Command::new(root().join("tests/packaging/validate"))
                .env("CARGO_TARGET_DIR", build_folder::folder())
                .arg(kind)
                .arg(file),
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let rendered = folder.path().join("rendered.yaml");
    for overlay in ["base", "example"] {
        let source = root().join("deploy/kubernetes").join(overlay);
        let text = run(Command::new(tools.join("kustomize"))
            .arg("build")
            .arg(source));
        fs::write(&rendered, &text).unwrap();
        let judged = validate("kubernetes", &rendered);
        assert!(judged.status.success(), "{overlay}: {judged:?}");
        let misspelt = text.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem");
        fs::write(&rendered, misspelt).unwrap();
        assert!(!validate("kubernetes", &rendered).status.success());
    }
    let compose = root().join("deploy/compose/compose.yaml");
    let judged = validate("compose", &compose);
    assert!(judged.status.success(), "{judged:?}");
    let text = fs::read_to_string(compose).unwrap();
    fs::write(&rendered, text.replace("read_only", "readonly")).unwrap();
    assert!(!validate("compose", &rendered).status.success());
}

/// Builds the binaries as the first stage of the Containerfile does, without optimising, and lays them out as it does.
fn build_stage(folder: &Path) {
    let version = run(Command::new("rustc").arg("-vV"));
    let target = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let file = fs::read_to_string(root().join("deploy/image/Containerfile")).unwrap();
    let flags = file
        .lines()
        .find_map(|line| line.strip_prefix("ENV RUSTFLAGS="));
    let flags: String = serde_json::from_str(flags.unwrap()).unwrap();
    let binaries = ["access-token", "bearer-token", "microbus-deploy"];
    let build = build_folder::folder().join("image");
    run(Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--target", target])
        .args(binaries.iter().flat_map(|binary| ["--bin", binary]))
        .arg("--target-dir")
        .arg(&build)
        .env("RUSTFLAGS", flags)
        .current_dir(root()));
    fs::create_dir_all(folder.join("binaries")).unwrap();
    for binary in binaries {
        run(Command::new("strip")
            .arg("-o")
            .arg(folder.join("binaries").join(binary))
            .arg(build.join(target).join("debug").join(binary)));
    }
    let certificates = folder.join("etc/ssl/certs");
    fs::create_dir_all(&certificates).unwrap();
    fs::write(certificates.join("ca-certificates.crt"), "").unwrap();
}

/// Builds the last stage of an image, unpacks it and returns its root file system and what it says of its process.
fn image(stage: &str, binaries: &Path, folder: &Path) -> (PathBuf, Value) {
    let layout = folder.join("image");
    run(Command::new("buildah")
        .args(["--storage-driver", "vfs"])
        .arg("--root")
        .arg(folder.join("storage"))
        .arg("--runroot")
        .arg(folder.join("run"))
        .args([
            "build",
            "--quiet",
            "--isolation",
            "chroot",
            "--target",
            stage,
        ])
        // In place of the first stage, which needs a registry.
        .arg(format!("--build-context=build={}", binaries.display()))
        .arg("--file")
        .arg(root().join("deploy/image/Containerfile"))
        .arg(format!("--tag=oci:{}:{stage}", layout.display()))
        .arg(binaries));
    let bundle = folder.join(stage);
    run(Command::new("umoci")
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:{stage}", layout.display()))
        .arg(&bundle));
    let config = fs::read(bundle.join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    (bundle.join("rootfs"), config["process"].clone())
}

/// Returns the files of an image.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Prepares to run the process of an image as its user, with its root file system and nothing of this one.
fn in_image(root: &Path, process: &Value) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-user=65532", "--map-group=65532"])
        .arg("--root")
        .arg(root)
        .arg("--wd")
        .arg(process["cwd"].as_str().unwrap())
        .args(
            process["args"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str),
        )
        .env_clear();
    command
}

#[tokio::test]
async fn an_image_holds_one_binary_that_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let binaries = folder.path().join("build");
    build_stage(&binaries);
    let bus = Bus::start().await;
    for (stage, binary) in [
        ("access-token", "access-token"),
        ("bearer-token", "bearer-token"),
        ("deploy", "microbus-deploy"),
    ] {
        let (root, process) = image(stage, &binaries, folder.path());
        let expected = [
            PathBuf::from("etc/ssl/certs/ca-certificates.crt"),
            binary.into(),
        ];
        let mut files = files_of(&root);
        // Engines make these while they build.
        files.retain(|file| {
            !["etc/hosts", "etc/resolv.conf"]
                .iter()
                .any(|own| file == Path::new(own))
        });
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(files, expected);
        assert_eq!(process["args"], serde_json::json!([format!("/{binary}")]));
        assert_eq!(process["cwd"], "/run/microbus");
        assert_eq!(process["user"]["uid"], 65532);
        let version = run(in_image(&root, &process).arg("--version"));
        assert!(version.starts_with(binary), "{version}");
    }
    let (root, process) = image("access-token", &binaries, &folder.path().join("again"));
    let host = Product::ACCESS_TOKEN.host;
    let credentials = root.join(format!("run/microbus/{host}_nats.creds"));
    fs::write(credentials, bus.credentials(host)).unwrap();
    // An engine gives a container this file; the name shows that a static binary resolves names.
    fs::write(root.join("etc/hosts"), "127.0.0.1 broker.test\n").unwrap();
    let mut command = in_image(&root, &process);
    command
        .env(
            "MICROBUS_NATS",
            bus.server.url().replace("127.0.0.1", "broker.test"),
        )
        .env("MICROBUS_DEPLOYMENT", "PROD")
        .env("MICROBUS_CONFIGURATION", "files");
    let issuer = Child::start("access-token", command);
    let mut log = issuer.log();
    let serving = log.line("Serving", PATIENCE).await;
    assert!(serving.is_some(), "{}", log.text());
}
