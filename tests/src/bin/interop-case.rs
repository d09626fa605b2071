//! Writes what `tests/interop/run` verifies: a token of the real issuer, the keys that the issuer publishes, and the
//! claims that the token must have.
//!
//! Usage: `interop-case access-token|bearer-token DIRECTORY`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test that leaves files behind"
)]

use e2e::{Bus, Product};
use serde_json::json;
use std::path::PathBuf;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    const USAGE: &str = "usage: interop-case access-token|bearer-token DIRECTORY";
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, folder] = arguments.as_slice() else {
        panic!("{USAGE}")
    };
    let products = [Product::ACCESS_TOKEN, Product::BEARER_TOKEN];
    let product = products
        .into_iter()
        .find(|product| product.binary == name)
        .expect(USAGE);
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).expect("the directory can be made");

    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let caller = bus.caller("raw.tester", "id-interop000").await;
    let issuer = bus.issuer(product).start();
    issuer.until_ready(&caller).await;

    let claims = json!({
        "iss": "https://idp.example",
        "sub": "Zoë <zoe@example.com> & \u{1f511}",
        "roles": ["admin", "user"],
        "tenant": 5,
        "nested": {"deep": [1, 2.5, null, {"a": "\u{2028}"}], "empty": {}},
    });
    let body = json!({ "claims": claims }).to_string();
    // The longest lifetime there is, so that installing a verifier does not outlive the token.
    let headers = [
        ("Microbus-Time-Budget", "15m"),
        ("Content-Type", "application/json"),
    ];
    let host = product.host;
    let minted = caller
        .call("POST", host, 666, "/mint", &headers, body.as_bytes())
        .await;
    let keys = caller.get(host, 888, "/jwks").await;

    let mut expected = claims;
    let original = expected["iss"].take();
    if host == Product::ACCESS_TOKEN.host {
        expected["idp"] = original;
    }
    expected["iss"] = json!(format!("https://{host}"));
    let token = minted.json()["token"]
        .as_str()
        .expect("a token is minted")
        .to_owned();
    for (name, content) in [
        ("token", token.as_bytes()),
        ("jwks.json", &keys.body()),
        ("claims.json", expected.to_string().as_bytes()),
    ] {
        std::fs::write(folder.join(name), content).expect("a file can be written");
    }
}
