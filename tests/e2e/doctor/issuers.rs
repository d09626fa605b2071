//! Issuers that do not answer as they should, and tokens that do not verify.

use super::{Deployed, SERVICE, environment};
use e2e::Product;
use e2e::desk::text;
use std::fs;

#[tokio::test]
async fn what_is_wrong_with_issuers_and_tokens_is_named() {
    let mut deployed = Deployed::good().await;
    let only = ["--only", "issuers-up,first-verification,plane-running"];

    // Tokens: signed by nobody we believe, and by a key that is not published.
    let token = deployed
        .desk
        .run(&[
            "mint",
            "--creds",
            &format!("{SERVICE}/{SERVICE}_nats.creds"),
            "--nats",
            &deployed.desk.url(),
        ])
        .succeeded();
    let token = token.stdout.trim().to_owned();
    deployed.desk.write("token", &token);
    let with_token = |deployed: &Deployed, file: &str| {
        let directory = deployed.service.display().to_string();
        deployed.run(&[
            "--directory",
            &directory,
            "--only",
            "issuers-up,first-verification",
            "--token",
            file,
        ])
    };
    with_token(&deployed, "token").names("first-verification", "PASS", "access.token.core");
    deployed.desk.write("foreign", foreign(&token));
    with_token(&deployed, "foreign").names("first-verification", "FAIL", "");

    // A running process that was started before the plane was changed.
    let env = deployed.service.join("env.yaml");
    let good = text(&env);
    let running = deployed.caller().await;
    // The broker has taken its subscriptions when this one is taken.
    let served = running.listen("microbus.safe.443.*.login_example.>").await;
    fs::write(
        &env,
        good.replace("MICROBUS_PLANE: microbus", "MICROBUS_PLANE: prod"),
    )
    .unwrap();
    deployed.doctor(&only).names(
        "plane-running",
        "FAIL",
        "login.example runs on the plane microbus",
    );
    fs::write(&env, &good).unwrap();
    deployed
        .doctor(&only)
        .names("plane-running", "PASS", "on the plane of their directory");
    drop((served, running));

    // The access issuer is started again: its old keys are gone.
    drop(deployed.issuers.remove(0));
    let down = with_token(&deployed, "token");
    down.names("issuers-up", "FAIL", "access.token.core: ");
    down.names(
        "first-verification",
        "UNKNOWN",
        "access.token.core publishes nothing",
    );
    assert_eq!(down.code, 1);
    deployed.start(Product::ACCESS_TOKEN).await;
    with_token(&deployed, "token").names("first-verification", "FAIL", "does not publish the key");
}

/// Returns a token of an issuer that nobody believes.
fn foreign(token: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let parts: Vec<_> = token.split('.').collect();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let claims = claims.replace("access.token.core", "login.okta.example");
    [parts[0], &URL_SAFE_NO_PAD.encode(claims), parts[2]].join(".")
}

#[tokio::test]
async fn a_bearer_issuer_without_a_key_is_named() {
    let mut deployed = Deployed::good().await;
    let mut bearer = deployed.issuers.remove(1);
    bearer.write_file("env.yaml", environment(&deployed.desk.url()));
    bearer.restart();
    bearer.until_ready(&deployed.caller().await).await;
    deployed.issuers.push(bearer);
    deployed.doctor(&["--only", "issuers-up"]).names(
        "issuers-up",
        "FAIL",
        "bearer.token.core answers without a key",
    );
}
