//! Writes what `tests/interop/run` verifies: a token of the real issuer, the keys that the issuer publishes, and the
//! claims that the token must have.
//!
//! Usage: `interop-case access-token|bearer-token bus|door DIRECTORY`: over a broker in operator mode, or over the HTTP
//! door. The key of bearer-token is made by `openssl` and stands in its `config.yaml`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test that leaves files behind"
)]

use e2e::http::exchange;
use e2e::{Bus, IssuerSetup, Product};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// What an issuer answers.
struct Answered {
    minted: Value,
    keys: Vec<u8>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    const USAGE: &str = "usage: interop-case access-token|bearer-token bus|door DIRECTORY";
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, way, folder] = arguments.as_slice() else {
        panic!("{USAGE}")
    };
    let products = [Product::ACCESS_TOKEN, Product::BEARER_TOKEN];
    let product = products
        .into_iter()
        .find(|product| product.binary == name)
        .expect(USAGE);
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).expect("the directory can be made");

    let claims = json!({
        "iss": "https://idp.example",
        "sub": "Zoë <zoe@example.com> & \u{1f511}",
        "roles": ["admin", "user"],
        "tenant": 5,
        "nested": {"deep": [1, 2.5, null, {"a": "\u{2028}"}], "empty": {}},
    });
    let body = json!({ "claims": claims }).to_string();
    let answered = match way.as_str() {
        "bus" => over_a_bus(product, &body).await,
        "door" => over_the_door(product, &body).await,
        _ => panic!("{USAGE}"),
    };

    let mut expected = claims;
    let original = expected["iss"].take();
    if product.host == Product::ACCESS_TOKEN.host {
        expected["idp"] = original;
    }
    expected["iss"] = json!(format!("https://{}", product.host));
    let token = answered.minted["token"]
        .as_str()
        .expect("a token is minted")
        .to_owned();
    for (name, content) in [
        ("token", token.as_bytes()),
        ("jwks.json", &answered.keys),
        ("claims.json", expected.to_string().as_bytes()),
    ] {
        std::fs::write(folder.join(name), content).expect("a file can be written");
    }
}

async fn over_a_bus(product: Product, body: &str) -> Answered {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("raw.tester", "id-interop000").await;
    let issuer = with_key(bus.issuer(product)).start();
    issuer.until_ready(&caller).await;
    let headers = [LONGEST_LIFETIME, JSON];
    let minted = caller
        .call(
            "POST",
            product.host,
            666,
            "/mint",
            &headers,
            body.as_bytes(),
        )
        .await;
    Answered {
        minted: minted.json(),
        keys: caller.get(product.host, 888, "/jwks").await.body(),
    }
}

async fn over_the_door(product: Product, body: &str) -> Answered {
    let setup = IssuerSetup::new(product).with_argument("--door=127.0.0.1:0");
    let issuer = with_key(setup).start();
    let line = issuer.until_logged("curl").await;
    let (_, rest) = line.split_once("http://").expect("the line has a URL");
    let (address, _) = rest.split_once('/').expect("the URL has a path");
    let headers = [LONGEST_LIFETIME, JSON];
    let minted = exchange(address, "POST /mint", &headers, body).await;
    let keys = exchange(address, "GET /jwks", &[], "").await;
    Answered {
        minted: minted.json(),
        keys: keys.body.into_bytes(),
    }
}

/// Gives the bearer issuer a key as operators make one, in the file where they put it.
fn with_key(setup: IssuerSetup) -> IssuerSetup {
    if setup.product().host != Product::BEARER_TOKEN.host {
        return setup;
    }
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "ed25519"])
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "openssl makes a key: {made:?}");
    let pem = String::from_utf8(made.stdout).expect("PEM is text");
    let block: String = pem.lines().map(|line| format!("    {line}\n")).collect();
    setup.with_file(
        "config.yaml",
        format!("bearer.token.core:\n  PrivateKey: |\n{block}"),
    )
}

/// So that installing a verifier does not outlive the token.
const LONGEST_LIFETIME: (&str, &str) = ("Microbus-Time-Budget", "15m");
const JSON: (&str, &str) = ("Content-Type", "application/json");
