//! Both issuers as the systemd units start them: in a directory of credentials, with the sample files and nothing else.

use e2e::child::Child;
use e2e::{Bus, Caller, PATIENCE, Product, build_folder};
use microbus_wire::Plane;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The plane of `env.yaml`.
const PLANE: &str = "prod";
const KEY: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";

fn deploy(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the directory that systemd would make of the `LoadCredential=` lines of the unit.
fn credentials_directory(product: Product, bus: &Bus) -> TempDir {
    let plane = Plane::parse(PLANE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let unit = deploy(&format!("systemd/microbus-{}.service", product.binary));
    assert!(unit.contains("\nWorkingDirectory=%d\n"), "{unit}");
    let lines = unit
        .lines()
        .filter_map(|line| line.strip_prefix("LoadCredential="));
    for line in lines {
        let (name, source) = line.split_once(':').unwrap();
        assert!(
            source.ends_with(&format!("/{name}")),
            "{source} has another name"
        );
        let content = match name {
            "env.yaml" | "config.yaml" => deploy(&format!("samples/{name}")),
            "PrivateKey" => KEY.to_owned(),
            "AltPrivateKey" => String::new(),
            creds if creds == format!("{}_nats.creds", product.host) => {
                bus.credentials_on(&plane, product.host)
            }
            other => panic!("nothing is known of {other}"),
        };
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        fs::set_permissions(file, Permissions::from_mode(0o400)).unwrap();
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).unwrap();
    folder
}

fn start(product: Product, bus: &Bus, folder: &Path) -> Child {
    let mut command = Command::new(build_folder::binary(product.package, product.binary));
    command
        .env_clear()
        .current_dir(folder)
        .env("CREDENTIALS_DIRECTORY", folder)
        // What the sample says of ports is for a machine that runs no tests.
        .env("MICROBUS_NATS", bus.server.url())
        .env("MICROBUS_ADMIN", "0");
    Child::start(product.binary, command)
}

async fn until_serving(issuer: &Child) {
    let mut log = issuer.log();
    let line = log.line("Serving", PATIENCE).await;
    assert!(line.is_some(), "{}", log.text());
    let warned = log
        .text()
        .lines()
        .any(|line| line.contains("WARN") || line.contains("ERROR"));
    assert!(!warned, "{}", log.text());
}

async fn mint(bus: &Bus, product: Product, caller: &str) -> u16 {
    let credentials = bus.credentials_on(&Plane::parse(PLANE).unwrap(), caller);
    let url = bus.server.url();
    let caller = Caller::connect(&url, Some(&credentials), PLANE, caller, "id-tester0000");
    let caller = caller.await.unwrap();
    let answer = caller.post(product.host, 666, "/mint", "{}").await;
    answer.response().status()
}

#[tokio::test]
async fn the_units_and_the_samples_make_issuers_that_mint_for_whom_the_samples_name() {
    let bus = Bus::start().await;
    for (product, minter) in [
        (Product::ACCESS_TOKEN, "http.ingress.core"),
        (Product::BEARER_TOKEN, "login.acme"),
    ] {
        let folder = credentials_directory(product, &bus);
        let issuer = start(product, &bus, folder.path());
        until_serving(&issuer).await;
        assert_eq!(mint(&bus, product, minter).await, 200, "{minter}");
        assert_eq!(mint(&bus, product, "stranger.acme").await, 403);
        let text = issuer.log().text();
        assert!(text.contains("\"caller\":\"stranger.acme\""), "{text}");
    }
}
