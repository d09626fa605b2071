//! Rotations of the operator's keys at three replicas of the bearer issuer: by redeploying one after the other, and in place.

use crate::fleet::{stop, until_warm};
use crate::load::Load;
use crate::{Errors, Field, Options, round};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{Bus, Ingress, Issuer, PATIENCE, Product};
use microbus_token::read_key_text;
use std::sync::Arc;

const HOST: &str = Product::BEARER_TOKEN.host;

/// The keys of an operator who rotates.
struct Keys {
    /// The seed of the one that is to sign.
    current: u8,
}

/// What is to be configured.
struct Wanted {
    primary: String,
    alternate: String,
    /// Of the primary.
    kid: String,
}

impl Keys {
    /// Has another key take the place of the current one, which becomes the alternate.
    fn rotate(&mut self) -> Wanted {
        let alternate = key_text(self.current);
        self.current += 1;
        let primary = key_text(self.current);
        Wanted {
            kid: kid(&primary),
            primary,
            alternate,
        }
    }
}

impl Wanted {
    fn config(&self) -> String {
        let (primary, alternate) = (&self.primary, &self.alternate);
        format!("bearer.token.core:\n  PrivateKey: {primary}\n  AltPrivateKey: {alternate}\n")
    }
}

/// The rounds, with verifiers like connectors and an ingress that its operator warms.
pub(crate) async fn rounds(options: Options) -> Vec<String> {
    if !ROUNDS.iter().any(|name| options.wants(name)) {
        return Vec::new();
    }
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    let mut keys = Keys { current: 1 };
    let mut field = prepare(options, bus, &key_text(keys.current)).await;
    let ingress = field.load.ingress.clone().unwrap();
    round!(field, "bearer: redeployed", Errors::None, async {
        let wanted = keys.rotate();
        let (first, others) = field.fleet.split_first_mut().unwrap();
        redeploy(first, &wanted).await;
        for issuer in &*others {
            issuer.until_logged(&wanted.kid).await;
        }
        let rest = async {
            for issuer in others {
                redeploy(issuer, &wanted).await;
            }
        };
        tokio::join!(rest, ingress.warm(&field.bus, &wanted.kid));
        until_signed(&field.fleet, &wanted.kid).await;
    });
    round!(field, "bearer: by configurator", Errors::None, async {
        let wanted = keys.rotate();
        configurator.set(HOST, "PrivateKey", &wanted.primary);
        configurator.set(HOST, "AltPrivateKey", &wanted.alternate);
        configurator.refresh(HOST).await;
        in_place(&field.fleet, &field.bus, &ingress, &wanted).await;
    });
    round!(field, "bearer: by file", Errors::None, async {
        let wanted = keys.rotate();
        for issuer in &field.fleet {
            issuer.write_file("alternate.key", &wanted.alternate);
            issuer.write_file("primary.key", &wanted.primary);
        }
        in_place(&field.fleet, &field.bus, &ingress, &wanted).await;
    });
    field.failures
}

/// Starts three replicas that have one key from `config.yaml`, and may get others from the configurator or from files.
async fn prepare(options: Options, bus: Bus, key: &str) -> Field {
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LAB")
        .with_variable("MICROBUS_PRIVATE_KEY_FILE", "./primary.key")
        .with_variable("MICROBUS_ALT_PRIVATE_KEY_FILE", "./alternate.key")
        .with_file("primary.key", "")
        .with_file("alternate.key", "")
        .with_file(
            "config.yaml",
            format!("bearer.token.core:\n  PrivateKey: {key}\n"),
        );
    let mut fleet = Vec::new();
    for _ in 0..3 {
        let issuer = setup.start();
        issuer.until_logged("\"Serving\"").await;
        fleet.push(issuer);
    }
    let mut load = Load::start(&bus, HOST, options.span).await;
    until_warm(&load, 1).await;
    let ingress = Ingress::start(&bus, "http.ingress.core").await;
    ingress.warm(&bus, &kid(key)).await;
    load.ingress = Some(Arc::new(ingress));
    Field {
        options,
        bus,
        fleet,
        load,
        failures: Vec::new(),
    }
}

/// Stops a replica, and starts it with another configuration.
async fn redeploy(issuer: &mut Issuer, wanted: &Wanted) {
    stop(issuer).await;
    issuer.write_file("config.yaml", wanted.config());
    issuer.restart();
    issuer.until_logged("\"Serving\"").await;
}

/// Warms the ingress when all replicas publish the new key, and waits until all sign with it.
async fn in_place(fleet: &[Issuer], bus: &Bus, ingress: &Ingress, wanted: &Wanted) {
    for issuer in fleet {
        issuer.until_logged(&wanted.kid).await;
    }
    ingress.warm(bus, &wanted.kid).await;
    until_signed(fleet, &wanted.kid).await;
}

/// Waits until every replica signs with a key.
async fn until_signed(fleet: &[Issuer], kid: &str) {
    let kid = format!("\"kid\":\"{kid}\"");
    for issuer in fleet {
        let mut log = issuer.log();
        let mut position = 0;
        while !log.text().lines().any(|line| signs(line, &kid)) {
            let more = log.line_after(position, "Key signs", PATIENCE).await;
            assert!(more.is_some(), "{kid} never signs:\n{}", log.text());
            position = log.position();
        }
    }
}

fn signs(line: &str, kid: &str) -> bool {
    line.contains("Key signs") && line.contains(kid)
}

/// Returns the private key of a seed as an operator pastes it: base64 of PKCS#8.
fn key_text(seed: u8) -> String {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([seed; 32]);
    STANDARD.encode(der)
}

fn kid(key_text: &str) -> String {
    let key = read_key_text(key_text.as_bytes()).unwrap().unwrap();
    key.id().as_str().to_owned()
}

const ROUNDS: [&str; 3] = [
    "bearer: redeployed",
    "bearer: by configurator",
    "bearer: by file",
];
