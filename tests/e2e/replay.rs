//! Every recorded request to either issuer is sent again, and the answers are what the Go service answered.
//!
//! Identifiers, keys, times and signatures are normalised; where we differ on purpose the difference is written down here,
//! case by case, and is itself the expectation.

use e2e::goldens::{self, Case};
use e2e::normal::normal;
use e2e::{Answers, Bus, Caller, Configurator, Issuer, Message, PATIENCE, Product};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

mod keys;

#[tokio::test]
async fn in_local_every_recorded_request_is_answered_as_recorded() {
    let bus = Bus::start().await;
    let _configurator = acking(&bus).await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LOCAL");
    let issuer = setup.start();
    let mut replay = Replay::start(&bus, Product::ACCESS_TOKEN, issuer).await;
    for recording in ["local", "extra", "rotation"] {
        replay.run(recording).await;
    }
    replay.finish();
}

#[tokio::test]
async fn in_prod_with_a_locality_every_recorded_request_is_answered_as_recorded() {
    let bus = Bus::with_max_payload(131_072).await;
    let _configurator = acking(&bus).await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD")
        .with_variable("MICROBUS_LOCALITY", "1.west.us")
        .with_variable("MICROBUS_PROMETHEUS_EXPORTER", "1");
    let mut replay = Replay::start(&bus, Product::ACCESS_TOKEN, setup.start()).await;
    replay.run("prod").await;
    replay.finish();
}

#[tokio::test]
async fn within_production_permissions_the_exchange_is_the_recorded_one() {
    let bus = Bus::start().await;
    let _configurator = acking(&bus).await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD");
    let mut replay = Replay::start(&bus, Product::ACCESS_TOKEN, setup.start()).await;
    replay.run("acl").await;
    replay.finish();
}

#[tokio::test]
async fn in_local_every_recorded_request_to_the_bearer_issuer_is_answered_as_recorded() {
    let bus = Bus::start().await;
    let _configurator = acking(&bus).await;
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LOCAL");
    let mut replay = Replay::start(&bus, Product::BEARER_TOKEN, setup.start()).await;
    for recording in ["local", "extra"] {
        replay.run(recording).await;
    }
    replay.finish();
}

#[tokio::test]
async fn in_prod_without_a_key_the_bearer_issuer_answers_as_recorded() {
    let bus = Bus::with_max_payload(131_072).await;
    let _configurator = acking(&bus).await;
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "PROD")
        .with_variable("MICROBUS_LOCALITY", "1.west.us");
    let mut replay = Replay::start(&bus, Product::BEARER_TOKEN, setup.start()).await;
    replay.run("prod").await;
    replay.finish();
}

/// The recorded services ack every request.
async fn acking(bus: &Bus) -> Configurator {
    let configurator = bus.configurator().await;
    for host in [Product::ACCESS_TOKEN.host, Product::BEARER_TOKEN.host] {
        configurator.set(host, "AnswerWithoutAck", "false");
    }
    configurator
}

/// A running issuer, callers for the senders of the recorded requests, and what did not match.
struct Replay<'a> {
    bus: &'a Bus,
    host: &'static str,
    issuer: Issuer,
    instance: String,
    callers: HashMap<String, Caller>,
    mismatches: Vec<String>,
    compared: usize,
}

impl<'a> Replay<'a> {
    async fn start(bus: &'a Bus, product: Product, issuer: Issuer) -> Self {
        let host = product.host;
        issuer.until_logged("Serving").await;
        let caller = bus.caller("raw.tester", "id-rawtester0").await;
        let pong = caller.get(host, 888, "/ping").await;
        let instance = pong
            .response()
            .header("Microbus-From-Id")
            .unwrap()
            .to_owned();
        let callers = HashMap::from([("raw.tester".to_owned(), caller)]);
        Self {
            bus,
            host,
            issuer,
            instance,
            callers,
            mismatches: Vec::new(),
            compared: 0,
        }
    }

    async fn run(&mut self, recording: &str) {
        for case in goldens::load(recording) {
            let elsewhere = ELSEWHERE.iter().any(|(name, _)| *name == case.name);
            let of_keys = self.host != ACCESS && KEYS_OF_BEARER.contains(&case.name.as_str());
            if elsewhere || of_keys {
                continue;
            }
            // What a Go replica answers to itself never reaches the wire, so there is nothing to compare.
            let host = self.host;
            let to_itself = |request: &&Message| {
                source_of(&request.subject) == host && request.subject.ends_with(".local-keys")
            };
            for request in case
                .requests_to(self.host)
                .filter(|request| !to_itself(request))
            {
                self.one(&case, request).await;
            }
        }
    }

    async fn case(&mut self, recording: &str, name: &str) {
        let case = goldens::case(recording, name);
        for request in case.requests_to(self.host) {
            self.one(&case, request).await;
        }
    }

    async fn one(&mut self, case: &Case, request: &Message) {
        let recorded = responder_like_ours(self.host, case, request);
        let subject = self.addressed_to_us(&request.subject);
        let payload = self.with_fresh_actor(case, request).await;
        let id = request.message_id().to_owned();
        let source = source_of(&request.subject);
        let instance = self.instance.clone();
        let caller = self.caller(&source).await;
        let answers = if recorded.is_empty() {
            caller
                .exchange_until(&subject, payload, &id, |_| false, SILENCE)
                .await
        } else {
            let of_us = |answers: &Answers| {
                answers
                    .responses()
                    .any(|one| one.header("Microbus-From-Id") == Some(&instance))
            };
            caller
                .exchange_until(&subject, payload, &id, of_us, PATIENCE)
                .await
        };
        let ours: Vec<_> = answers
            .messages
            .iter()
            .map(|one| comparable(case, one))
            .collect();
        let theirs: Vec<_> = recorded
            .iter()
            .map(|one| on_purpose(case, comparable(case, one)))
            .collect();
        self.compared += 1;
        if ours != theirs {
            self.mismatches.push(format!(
                "{} {}\nrecorded: {theirs:#?}\nours: {ours:#?}",
                case.name, request.subject
            ));
        }
    }

    /// A caller with the credentials of the recorded sender, made when it is first needed.
    async fn caller(&mut self, source: &str) -> &Caller {
        if !self.callers.contains_key(source) {
            let caller = self.bus.caller(source, "id-recorded00").await;
            self.callers.insert(source.to_owned(), caller);
        }
        &self.callers[source]
    }

    fn addressed_to_us(&self, subject: &str) -> String {
        let mut segments: Vec<_> = subject.split('.').collect();
        if segments[5].starts_with("id-") {
            segments[5] = &self.instance;
        }
        segments.join(".")
    }

    /// The recorded actors were signed by keys that are gone: those that were valid are minted anew.
    async fn with_fresh_actor(&self, case: &Case, request: &Message) -> Vec<u8> {
        let payload = request.payload.to_vec();
        let Some(actor) = request.header("Microbus-Actor") else {
            return payload;
        };
        if !VALID_ACTORS.contains(&case.name.as_str()) {
            return payload;
        }
        let claims = r#"{"claims":{"sub":"harry"}}"#;
        let minted = self.callers["raw.tester"]
            .post(self.host, 666, "/mint", claims)
            .await;
        let token = minted.json()["token"].as_str().unwrap().to_owned();
        String::from_utf8(payload)
            .unwrap()
            .replace(actor, &token)
            .into_bytes()
    }

    fn finish(self) {
        assert!(self.compared > 0, "nothing was compared");
        let log = self.issuer.log().text();
        assert!(!log.contains("Permissions Violation"), "{log}");
        assert!(
            self.mismatches.is_empty(),
            "{} of {} differ\n{}",
            self.mismatches.len(),
            self.compared,
            self.mismatches.join("\n\n")
        );
    }
}

/// Several replicas answered some of the requests, not all configured alike: the one like ours is compared, else the first.
fn responder_like_ours<'a>(host: &str, case: &'a Case, request: &'a Message) -> Vec<&'a Message> {
    let of_issuer = || {
        case.answers_to(request)
            .filter(|message| source_of(&message.subject) == host)
    };
    let without_exporter = |message: &&Message| message.status() == 501;
    let like_ours = of_issuer()
        .find(without_exporter)
        .or_else(|| of_issuer().next());
    let instance = like_ours.and_then(|message| message.header("Microbus-From-Id"));
    of_issuer()
        .filter(|one| one.header("Microbus-From-Id") == instance)
        .collect()
}

fn source_of(subject: &str) -> String {
    subject.split('.').nth(3).unwrap().replace('_', ".")
}

/// Leaves out what no two processes share, or what other tests compare in full.
fn comparable(case: &Case, message: &Message) -> Value {
    let mut value = normal(message);
    if case.name.contains("metrics") || case.name.contains("openapi") {
        value["body"] = json!("compared elsewhere");
        if let Some(headers) = value["headers"].as_object_mut() {
            headers.remove("Content-Length");
        }
    }
    // Error texts are ours: the Go service names its own types and decoders. Traces are another issue.
    if let Some(error) = value
        .pointer_mut("/body/json/err")
        .and_then(Value::as_object_mut)
    {
        error.remove("error");
        error.remove("trace");
    }
    // How many keys there are depends on replicas and rotations; each has the same shape.
    if let Some(keys) = value
        .pointer_mut("/body/json/keys")
        .and_then(Value::as_array_mut)
    {
        keys.dedup();
    }
    // Replicas tell each other more than keys; whoever reads only the keys does not see it.
    if let Some(answer) = value
        .pointer_mut("/body/json")
        .and_then(Value::as_object_mut)
    {
        for second in ["about", "showing", "leaving"] {
            answer.remove(second);
        }
    }
    // A lifetime that is no whole number of seconds ends in either of two.
    let fractional = FRACTIONAL_LIFETIMES
        .iter()
        .find(|(name, _)| *name == case.name);
    if let (Some((_, floor)), Some(exp @ Value::String(_))) =
        (fractional, value.pointer_mut("/body/json/token/claims/exp"))
    {
        let either = [floor + 10, floor + 11].map(|seconds| format!("<iat + {seconds}>"));
        assert!(
            either.iter().any(|text| *exp == **text),
            "{}: {exp}",
            case.name
        );
        *exp = json!(either);
    }
    value
}

/// Applies the differences that we made on purpose to what was recorded.
fn on_purpose(case: &Case, mut recorded: Value) -> Value {
    if recorded["headers"]["Microbus-Op-Code"] == "Ack" {
        return recorded;
    }
    // Every recorded 500 was the caller's fault, but for what the configurator gave.
    if recorded["first_line"] == "HTTP/1.1 500 Internal Server Error"
        && !BAD_KEYS.contains(&case.name.as_str())
    {
        refuse(&mut recorded, "HTTP/1.1 400 Bad Request", 400);
    }
    match case.name.as_str() {
        // A body of another type is refused instead of minting an empty identity …
        "mint_access_content_type_text"
        | "mint_access_content_type_missing"
        | "mint_bearer_content_type_text"
        | "mint_bearer_content_type_missing" => {
            recorded["headers"]["Microbus-Op-Code"] = json!("Err");
            recorded["body"] =
                json!({ "json": { "err": {} }, "indented": true, "ends_with_newline": true });
            refuse(&mut recorded, "HTTP/1.1 415 Unsupported Media Type", 415);
        }
        // … and JSON is read by whatever parameters its type has.
        "mint_access_content_type_charset" | "mint_bearer_content_type_charset" => {
            recorded["body"]["json"]["token"]["claims"]["a"] = json!(1);
        }
        // Integers are kept exactly.
        "mint_access_claims_numbers" | "mint_bearer_claims_numbers" => {
            let claims = &mut recorded["body"]["json"]["token"]["claims"];
            claims["big"] = json!(12_345_678_901_234_567_890_u64);
            claims["int"] = json!(9_007_199_254_740_993_u64);
        }
        // A bad key is tried again and refused again.
        "bearer_second_refresh_same_values" => {
            let first = goldens::case("extra", BAD_KEYS[0]);
            let request = first
                .requests_to(Product::BEARER_TOKEN.host)
                .next()
                .unwrap();
            return comparable(&first, first.answers_to(request).last().unwrap());
        }
        // The JWK Set is answered from memory: neither call depth nor a sick replica matters.
        "calldepth_64_jwks" | "jwks_one_replica_hangs" | "jwks_one_replica_error" => {
            let healthy = goldens::case("local", "jwks_access_one_replica_warm");
            let request = healthy.requests_to(ACCESS).next().unwrap();
            let answer = *responder_like_ours(ACCESS, &healthy, request)
                .last()
                .unwrap();
            return comparable(&healthy, answer);
        }
        _ => {}
    }
    recorded
}

fn refuse(recorded: &mut Value, first_line: &str, status: u16) {
    recorded["first_line"] = json!(first_line);
    recorded["body"]["json"]["err"]["statusCode"] = json!(status);
}

const ACCESS: &str = Product::ACCESS_TOKEN.host;

/// Cases whose time budget is no whole number of seconds, with its whole part.
const FRACTIONAL_LIFETIMES: &[(&str, u64)] = &[
    ("budget_access_101ms", 0),
    ("budget_access_150ms", 0),
    ("budget_access_1.5s", 1),
    ("budget_access_3m20.5s", 200),
];

/// Cases in which the configurator gives a bad key.
const BAD_KEYS: [&str; 2] = [
    "bearer_bad_primary_with_new_alt",
    "config_change_bad_private_key",
];

/// How long silence is listened to: longer than any ack takes.
const SILENCE: Duration = Duration::from_millis(200);

/// Cases whose actor was valid when they were recorded.
const VALID_ACTORS: &[&str] = &["trace_baggage_actor_jwks", "actor_mint_valid"];

/// Cases that need another process than the one here, with the test that has them.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "subject_source_underscore",
        "no credential lets anybody publish as nobody: bus, responder tests",
    ),
    ("prod_fragmented_mint", "fragments"),
    ("prod_fragments_out_of_order", "fragments"),
    ("prod_fragments_incomplete", "fragments"),
    ("prod_fragments_late_second", "fragments"),
    ("fragments_duplicate_index", "fragments"),
    ("fragments_index_out_of_range", "fragments"),
    ("mint_after_max_lifetime_5s", "configuration"),
    (
        "shutdown_access_with_cache_element",
        "a replica asked itself, nobody else was there",
    ),
    ("actor_issuer_down_unknown_kid", "no issuer was there"),
];

/// Cases that need the bearer issuer to have certain keys: they are in `keys`.
const KEYS_OF_BEARER: &[&str] = &[
    "config_change_bad_private_key",
    "mint_bearer_after_bad_key",
    "config_change_empty_private_key",
    "mint_bearer_after_key_removed",
    "jwks_bearer_after_key_removed",
    "bearer_bad_primary_with_new_alt",
    "bearer_second_refresh_same_values",
    "bearer_jwks_after_bad_primary_with_new_alt",
    "prod_mint_bearer_key1",
    "prod_ingress_exchange_cold",
    "prod_mint_bearer_during_activation_delay",
    "prod_jwks_bearer_rotated",
    "prod_mint_bearer_after_activation_delay",
];
