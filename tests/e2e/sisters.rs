//! Replicas of the bearer issuer publish each other's keys, and none signs with what its sisters do not publish yet.

use e2e::normal::kid;
use e2e::{Bus, Caller, Issuer, PATIENCE, Product};
use microbus_token::{JwkSet, verify};
use std::time::{Instant, SystemTime};

const HOST: &str = Product::BEARER_TOKEN.host;

/// PKCS#8 of the seeds 32×01 and 32×02, as base64 of the DER.
const KEY_1: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const KEY_2: &str = "MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";
const KID_1: &str = "NHUPmL1Z_Pw";
const KID_2: &str = "ajgD1fBZkCo";

struct Replica {
    issuer: Issuer,
    instance: String,
}

impl Replica {
    /// Starts one with its own key files.
    async fn start(bus: &Bus, primary: &str, alternate: &str) -> Self {
        Self::start_patient(bus, primary, alternate, "10s").await
    }

    /// Starts one with another `ActivationDelay`.
    async fn start_patient(bus: &Bus, primary: &str, alternate: &str, delay: &str) -> Self {
        let issuer = bus
            .issuer(Product::BEARER_TOKEN)
            .with_variable("MICROBUS_DEPLOYMENT", "LAB")
            .with_variable("MICROBUS_CONFIGURATION", "files")
            .with_variable("MICROBUS_PRIVATE_KEY_FILE", "./primary.key")
            .with_variable("MICROBUS_ALT_PRIVATE_KEY_FILE", "./alternate.key")
            .with_file("primary.key", primary)
            .with_file("alternate.key", alternate)
            .with_file(
                "config.yaml",
                format!("bearer.token.core:\n  ActivationDelay: {delay}\n"),
            )
            .start();
        let line = issuer.until_logged("\"Serving\"").await;
        let instance = line.split("\"id\":\"").nth(1).unwrap();
        let instance = instance.split('"').next().unwrap().to_owned();
        Self { issuer, instance }
    }

    /// Asks this very replica, by its own slot.
    async fn ask(&self, caller: &Caller, port: u16, method: &str, path: &str) -> Vec<u8> {
        let id = caller.next_message_id();
        let headers = [
            ("Microbus-Time-Budget", "20s"),
            ("Content-Type", "application/json"),
        ];
        let url = format!("https://{}.{HOST}:{port}/{path}", self.instance);
        let request = caller.request(method, &url, &id, &headers, b"{}");
        let subject = caller.subject(port, HOST, &self.instance, method, path);
        caller.exchange(&subject, request, &id).await.body()
    }

    async fn published(&self, caller: &Caller) -> JwkSet {
        JwkSet::from_json(&self.ask(caller, 888, "GET", "jwks").await).unwrap()
    }

    async fn mint(&self, caller: &Caller) -> String {
        let body = self.ask(caller, 666, "POST", "mint").await;
        let minted: serde_json::Value = serde_json::from_slice(&body).unwrap();
        minted["token"].as_str().unwrap().to_owned()
    }

    /// Asks for the JWK Set until its keys are these, in any order.
    async fn until_published(&self, caller: &Caller, wanted: &[&str]) {
        let end = Instant::now() + PATIENCE;
        loop {
            let set = self.published(caller).await;
            let mut kids: Vec<_> = set.iter().map(|jwk| jwk.id().as_str()).collect();
            kids.sort_unstable();
            if kids == wanted {
                return;
            }
            assert!(Instant::now() < end, "{kids:?} instead of {wanted:?}");
        }
    }
}

#[tokio::test]
async fn a_process_with_a_new_key_signs_with_the_one_its_sister_publishes_until_both_publish_both()
{
    let bus = Bus::start().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let old = Replica::start(&bus, KEY_1, "").await;
    let new = Replica::start(&bus, KEY_2, KEY_1).await;
    let first_to_sign = new.issuer.until_logged("Key signs").await;
    let kid_of_old = format!("\"kid\":\"{KID_1}\"");
    assert!(first_to_sign.contains(&kid_of_old), "{first_to_sign}");
    let end = Instant::now() + PATIENCE;
    let mut signed_by_old = 0;
    loop {
        let token = new.mint(&caller).await;
        // Whoever is asked, and whenever: each token verifies by the set of the other replica.
        verify(&token, &old.published(&caller).await, SystemTime::now()).unwrap();
        if kid(&token) == KID_2 {
            break;
        }
        signed_by_old += 1;
        assert!(Instant::now() < end, "{KID_2} never signs");
    }
    assert!(
        signed_by_old > 0,
        "it stood back for the key that was known"
    );
    new.issuer.until_logged("Verifiers warmed").await;
}

#[tokio::test]
async fn a_key_that_all_publish_and_nobody_signs_with_waits_at_each_process_that_starts_with_it() {
    let bus = Bus::start().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let old = Replica::start(&bus, KEY_1, "").await;
    // Within an hour it does not sign with its own key.
    let _first = Replica::start_patient(&bus, KEY_2, KEY_1, "1h").await;
    old.until_published(&caller, &[KID_1, KID_2]).await;
    let second = Replica::start_patient(&bus, KEY_2, KEY_1, "1h").await;
    assert_eq!(kid(&second.mint(&caller).await), KID_1);
}

#[tokio::test]
async fn a_process_that_starts_with_the_key_that_a_sister_signs_with_signs_with_it_at_once() {
    let bus = Bus::start().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let _first = Replica::start_patient(&bus, KEY_2, KEY_1, "1h").await;
    let second = Replica::start_patient(&bus, KEY_2, KEY_1, "1h").await;
    assert_eq!(kid(&second.mint(&caller).await), KID_2);
}

#[tokio::test]
async fn verifiers_hear_of_the_key_of_a_lone_process_before_it_gives_a_token_of_it() {
    let bus = Bus::start().await;
    let mut tap = bus.tap().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let alone = Replica::start(&bus, KEY_1, "").await;
    assert_eq!(kid(&alone.mint(&caller).await), KID_1);
    loop {
        let message = tap.next(PATIENCE).await.unwrap();
        let shown = message.header("Microbus-Actor").map(kid);
        if message.subject.contains(".all._.GET.ping") && shown.as_deref() == Some(KID_1) {
            break;
        }
        assert!(!message.subject.ends_with(".mint"), "nothing was shown");
    }
}

#[tokio::test]
async fn a_process_without_a_key_that_is_known_waits_until_its_sister_publishes_its_key() {
    let bus = Bus::start().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let old = Replica::start(&bus, KEY_1, "").await;
    let new = Replica::start(&bus, KEY_2, "").await;
    let token = new.mint(&caller).await;
    assert_eq!(kid(&token), KID_2);
    verify(&token, &old.published(&caller).await, SystemTime::now()).unwrap();
    new.issuer
        .until_logged("Sister replicas do not sign with the key yet")
        .await;
}

#[tokio::test]
async fn a_key_leaves_the_union_when_nobody_is_configured_with_it_and_our_own_answer_at_once() {
    let bus = Bus::start().await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let first = Replica::start(&bus, KEY_1, KEY_2).await;
    let mut second = Replica::start(&bus, KEY_1, KEY_2).await;
    let third = Replica::start(&bus, KEY_1, "").await;
    third.until_published(&caller, &[KID_1, KID_2]).await;

    // Removed here, and configured elsewhere still.
    let position = first.issuer.log().position();
    first.issuer.write_file("alternate.key", "");
    let mut log = first.issuer.log();
    assert!(
        log.line_after(position, "withdrawn", PATIENCE)
            .await
            .is_some(),
        "{}",
        log.text()
    );
    first.until_published(&caller, &[KID_1]).await;
    third.until_published(&caller, &[KID_1, KID_2]).await;
    // Then its last holder dies.
    second.issuer.kill();
    third.until_published(&caller, &[KID_1]).await;
}
