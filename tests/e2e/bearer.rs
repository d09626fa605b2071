//! The operator's keys of bearer.token.core: given, wrong, rotated and removed, by configurator and by file.

mod load;

use e2e::goldens;
use e2e::normal::{claim, kid, normal};
use e2e::{Bus, Caller, Configurator, Issuer, PATIENCE, Product};
use load::Load;
use microbus_token::{JwkSet, verify};
use std::time::{Instant, SystemTime};

const HOST: &str = Product::BEARER_TOKEN.host;

/// PKCS#8 of the seeds 32×01 to 32×04, as base64 of the DER.
const KEY_1: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const KEY_2: &str = "MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";
const KEY_3: &str = "MC4CAQAwBQYDK2VwBCIEIAMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD";
const KEY_4: &str = "MC4CAQAwBQYDK2VwBCIEIAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const KID_1: &str = "NHUPmL1Z_Pw";
const KID_2: &str = "ajgD1fBZkCo";
const KID_3: &str = "ti6Gf6LzOv4";
const KID_4: &str = "xblA7T9lw5E";

async fn start(bus: &Bus, configurator: &Configurator) -> (Issuer, Caller) {
    configurator.set(HOST, "PrivateKey", KEY_1);
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD");
    let issuer = setup.start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    (issuer, caller)
}

async fn mint(caller: &Caller) -> String {
    let minted = caller
        .post(
            HOST,
            666,
            "/mint",
            r#"{"claims":{"sub":"harry","idp":"kept"}}"#,
        )
        .await;
    assert_eq!(minted.response().status(), 200, "{minted:?}");
    minted.json()["token"].as_str().unwrap().to_owned()
}

async fn published(caller: &Caller) -> Vec<String> {
    let body = caller.get(HOST, 888, "/jwks").await.body();
    let keys = JwkSet::from_json(&body).unwrap();
    keys.iter()
        .map(|jwk| jwk.id().as_str().to_owned())
        .collect()
}

#[tokio::test]
async fn a_token_of_the_operators_key_verifies_and_lives_for_its_ttl() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let (_issuer, caller) = start(&bus, &configurator).await;
    let token = mint(&caller).await;
    assert_eq!(kid(&token), KID_1);
    let keys = JwkSet::from_json(&caller.get(HOST, 888, "/jwks").await.body()).unwrap();
    let verified = verify(&token, &keys, SystemTime::now()).unwrap();
    assert_eq!(verified.claims().get("idp"), Some("\"kept\""));
    let number = |name: &str| claim(&token, name).as_i64().unwrap();
    assert_eq!(number("exp") - number("iat"), 720 * 3600 + 600);
    assert_eq!(claim(&token, "jti").as_str().unwrap().len(), 24);
}

#[tokio::test]
async fn the_recorded_rotation_by_configurator_goes_through_the_same_steps() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let (issuer, caller) = start(&bus, &configurator).await;
    assert_eq!(kid(&mint(&caller).await), KID_1);

    configurator.set(HOST, "AltPrivateKey", KEY_1);
    configurator.set(HOST, "PrivateKey", KEY_2);
    let position = issuer.log().position();
    configurator.refresh(HOST).await;
    assert_eq!(
        published(&caller).await,
        [KID_2, KID_1],
        "primary first, then alternate"
    );
    assert_eq!(
        kid(&mint(&caller).await),
        KID_1,
        "the outgoing key signs meanwhile"
    );
    let recorded = goldens::case("prod", "prod_jwks_bearer_rotated");
    let request = recorded.requests_to(HOST).next().unwrap();
    let answer = recorded.answers_to(request).last().unwrap();
    let ours = caller.get(HOST, 888, "/jwks").await;
    assert_eq!(normal(ours.response())["body"], normal(answer)["body"]);

    let mut log = issuer.log();
    let signs = log.line_after(position, "signs", PATIENCE).await;
    assert!(signs.is_some(), "{}", log.text());
    until_signed_by(&caller, KID_2).await;
}

/// Mints until the key signs, each token verifying by the set that is published then, within the patience of all tests.
async fn until_signed_by(caller: &Caller, wanted: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let token = mint(caller).await;
        let keys = JwkSet::from_json(&caller.get(HOST, 888, "/jwks").await.body()).unwrap();
        verify(&token, &keys, SystemTime::now()).unwrap();
        if kid(&token) == wanted {
            return;
        }
        assert!(Instant::now() < end, "{wanted} never signs");
    }
}

#[tokio::test]
async fn a_bad_key_changes_nothing_and_a_removed_one_is_gone_at_once() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let (issuer, caller) = start(&bus, &configurator).await;
    configurator.set(HOST, "PrivateKey", "garbage-planted");
    configurator.set(HOST, "AltPrivateKey", KEY_2);
    let refused = configurator.refresh(HOST).await;
    assert!(refused.response().status() >= 400, "{refused:?}");
    assert_eq!(published(&caller).await, [KID_1], "neither is taken");
    assert_eq!(kid(&mint(&caller).await), KID_1);
    let reported = issuer.until_logged("Invalid config value").await;
    assert!(
        reported.contains("ERROR") && reported.contains("PrivateKey is ***************; "),
        "{reported}"
    );
    assert!(!issuer.log().text().contains("garbage-planted"));

    // The same values again are tried again; a bad alternate keeps a good primary out as well; corrected ones are taken.
    assert!(configurator.refresh(HOST).await.response().status() >= 400);
    configurator.set(HOST, "PrivateKey", KEY_2);
    configurator.set(HOST, "AltPrivateKey", "garbage-planted");
    assert!(configurator.refresh(HOST).await.response().status() >= 400);
    assert_eq!(published(&caller).await, [KID_1], "neither is taken");
    configurator.set(HOST, "AltPrivateKey", KEY_1);
    assert_eq!(configurator.refresh(HOST).await.response().status(), 200);
    assert_eq!(published(&caller).await, [KID_2, KID_1]);
    assert_eq!(kid(&mint(&caller).await), KID_1, "it is the outgoing one");

    configurator.unset(HOST, "PrivateKey");
    configurator.unset(HOST, "AltPrivateKey");
    configurator.refresh(HOST).await;
    assert_eq!(published(&caller).await, Vec::<String>::new());
    let refused = caller.post(HOST, 666, "/mint", "{}").await;
    assert_eq!(refused.response().status(), 503);
    assert_eq!(refused.json()["err"]["error"], "no signing key configured");
}

#[tokio::test]
async fn with_a_bad_key_of_the_configurator_it_starts_and_mints_once_that_is_mended() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    configurator.set(HOST, "PrivateKey", "garbage-planted");
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD");
    let issuer = setup.start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let refused = caller.post(HOST, 666, "/mint", "{}").await;
    assert_eq!(refused.response().status(), 503);
    assert_eq!(published(&caller).await, Vec::<String>::new());
    configurator.set(HOST, "PrivateKey", KEY_1);
    assert_eq!(configurator.refresh(HOST).await.response().status(), 200);
    assert_eq!(kid(&mint(&caller).await), KID_1);
    assert!(!issuer.log().text().contains("garbage-planted"));
}

#[tokio::test]
async fn in_two_changes_alternate_first_every_token_verifies_by_the_set_of_its_moment() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let (issuer, caller) = start(&bus, &configurator).await;
    configurator.set(HOST, "AltPrivateKey", KEY_1);
    configurator.refresh(HOST).await;
    issuer.until_logged("are the same key").await;
    assert_eq!(published(&caller).await, [KID_1], "one JWK");
    configurator.set(HOST, "PrivateKey", KEY_2);
    configurator.refresh(HOST).await;
    assert_eq!(published(&caller).await, [KID_2, KID_1]);
    assert_eq!(kid(&mint(&caller).await), KID_1);
    until_signed_by(&caller, KID_2).await;
    assert!(!issuer.log().text().contains("withdrawn"));
}

#[tokio::test]
async fn in_two_changes_primary_first_the_outgoing_key_signs_on_and_is_not_published_meanwhile() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let (issuer, caller) = start(&bus, &configurator).await;
    configurator.set(HOST, "PrivateKey", KEY_2);
    configurator.refresh(HOST).await;
    // It may have been replaced because it leaked.
    assert_eq!(published(&caller).await, [KID_2]);
    assert_eq!(
        kid(&mint(&caller).await),
        KID_1,
        "which verifiers at work know"
    );
    let warning = issuer.until_logged("Key withdrawn while it signs").await;
    assert!(
        warning.contains(KID_1) && warning.contains("\"until\":\"20"),
        "{warning}"
    );
    configurator.set(HOST, "AltPrivateKey", KEY_1);
    configurator.refresh(HOST).await;
    assert_eq!(published(&caller).await, [KID_2, KID_1]);
    assert_eq!(kid(&mint(&caller).await), KID_1);
    until_signed_by(&caller, KID_2).await;
}

#[tokio::test]
async fn a_key_from_a_file_never_crosses_the_bus_and_is_rotated_by_replacing_the_file() {
    let bus = Bus::start().await;
    let mut tap = bus.tap().await;
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LOCAL")
        .with_file("primary.key", KEY_1)
        .with_file("alternate.key", "")
        .with_file(
            "config.yaml",
            "bearer.token.core:\n  PrivateKeyFile: ./primary.key\n  AltPrivateKeyFile: ./alternate.key\n",
        );
    let issuer = setup.start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    assert_eq!(kid(&mint(&caller).await), KID_1);
    issuer.write_file("alternate.key", KEY_1);
    issuer.write_file("primary.key", KEY_2);
    until_signed_by(&caller, KID_2).await;
    assert_eq!(published(&caller).await, [KID_2, KID_1]);
    caller
        .publish(
            &caller.subject(888, "nobody.example", "_", "GET", "end"),
            "",
        )
        .await;
    loop {
        let message = tap.next(PATIENCE).await.unwrap();
        if message.subject.contains("nobody_example") {
            break;
        }
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        for key in [KEY_1, KEY_2] {
            assert!(!text.contains(key), "{} carries a key", message.subject);
        }
    }
}

#[tokio::test]
async fn rotations_by_configurator_under_steady_load_are_missed_by_no_verifier_that_is_warmed() {
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let (_issuer, _caller) = start(&bus, &configurator).await;
    let load = Load::start(&bus).await;
    load.rotate_in_every_order(async |primary, alternate| {
        configurator.set(HOST, "PrivateKey", primary);
        configurator.set(HOST, "AltPrivateKey", alternate);
        assert_eq!(configurator.refresh(HOST).await.response().status(), 200);
    })
    .await;
    println!("{}", load.judge());
}

#[tokio::test]
async fn rotations_by_file_under_steady_load_are_missed_by_no_verifier_that_is_warmed() {
    let bus = Bus::start().await;
    let issuer = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_PRIVATE_KEY_FILE", "./primary.key")
        .with_variable("MICROBUS_ALT_PRIVATE_KEY_FILE", "./alternate.key")
        .with_file("primary.key", KEY_1)
        .with_file("alternate.key", "")
        .start();
    issuer.until_logged("Serving").await;
    let load = Load::start(&bus).await;
    load.rotate_in_every_order(async |primary, alternate| {
        let position = issuer.log().position();
        issuer.write_file("primary.key", primary);
        issuer.write_file("alternate.key", alternate);
        let mut log = issuer.log();
        let read = log.line_after(position, "Key file read", PATIENCE).await;
        assert!(read.is_some(), "{}", log.text());
    })
    .await;
    println!("{}", load.judge());
}
