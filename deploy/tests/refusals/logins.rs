//! Logins that the broker refuses with two words, and connections that it ends with a few more.

use crate::subjects::permissions;
use crate::{Case, NOW};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use microbus_deploy::{Account, Nkey, NkeyKind, Operator, Permissions};
use nkeys::{KeyPair, KeyPairType};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = files();
    cases.extend(chains());
    cases.extend(ends());
    cases
}

/// An operator, its account with a signing key, and a user: all by the book until something is changed.
pub(crate) struct World {
    operator: KeyPair,
    account: KeyPair,
    signing: KeyPair,
    user: KeyPair,
    user_claims: Value,
    account_claims: Value,
}

impl World {
    pub(crate) fn new() -> Self {
        let [operator, account, signing, user] = [
            (KeyPairType::Operator, 1),
            (KeyPairType::Account, 2),
            (KeyPairType::Account, 3),
            (KeyPairType::User, 4),
        ]
        .map(|(kind, seed)| KeyPair::new_from_raw(kind, [seed; 32]).unwrap());
        let permissions = permissions();
        let user_claims = json!({
            "jti": "U", "iat": NOW - 1000, "iss": signing.public_key(), "name": "billing.acme", "sub": user.public_key(),
            "nats": {
                "pub": {"allow": permissions.publish()}, "sub": {"allow": permissions.subscribe()},
                "subs": -1, "data": -1, "payload": -1, "issuer_account": account.public_key(),
                "type": "user", "version": 2,
            },
        });
        let account_claims = json!({
            "jti": "A", "iat": NOW - 2000, "iss": operator.public_key(), "name": "bus", "sub": account.public_key(),
            "nats": {"signing_keys": [signing.public_key()], "type": "account", "version": 2},
        });
        Self {
            operator,
            account,
            signing,
            user,
            user_claims,
            account_claims,
        }
    }

    /// Changes the user's claims.
    fn user(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.user_claims);
        self
    }

    /// Changes the account's claims.
    fn account(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.account_claims);
        self
    }

    pub(crate) fn denying(self, pattern: &str) -> Self {
        let denied = json!([pattern]);
        self.user(|claims| claims["nats"]["pub"]["deny"] = denied)
    }

    fn user_jwt(&self) -> String {
        sign(&self.user_claims, &self.signing)
    }

    fn credentials(&self) -> String {
        decorated(&self.user_jwt(), &self.user.seed().unwrap())
    }

    fn account_jwt(&self) -> String {
        sign(&self.account_claims, &self.operator)
    }

    fn operator_jwt(&self) -> String {
        let operator = self.operator.public_key();
        let claims = json!({
            "jti": "O", "iat": NOW, "iss": operator, "sub": operator, "name": "acme",
            "nats": {"type": "operator", "version": 2},
        });
        sign(&claims, &self.operator)
    }

    /// Returns credentials that the library issued.
    pub(crate) fn credentials_with(&self, permissions: &Permissions) -> String {
        let key = |kind, byte| Nkey::from_random(kind, [byte; 32]).unwrap();
        let account = Account::new("bus", key(NkeyKind::Account, 2)).unwrap();
        let account = account.with_signing_key(key(NkeyKind::Account, 3)).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - 1000);
        let user = key(NkeyKind::User, 4);
        let issued = account.issue("billing.acme", &user, permissions, None, now);
        issued.unwrap().to_text().to_string()
    }

    pub(crate) fn case(&self, what: &'static str, line: &str) -> Case {
        Case::new(what, line)
            .with("--creds", self.credentials())
            .with("--account-jwt", self.account_jwt())
            .with("--operator-jwt", self.operator_jwt())
    }
}

/// Credentials that are wrong by themselves.
fn files() -> Vec<Case> {
    let world = World::new();
    let (good, jwt) = (world.credentials(), world.user_jwt());
    let seed = world.user.seed().unwrap();
    let with = |what, creds: String| Case::new(what, LOGIN).with("--creds", creds);
    let other_seed = KeyPair::new_from_raw(KeyPairType::User, [9; 32])
        .unwrap()
        .seed()
        .unwrap();
    let account_seed = world.account.seed().unwrap();
    let jwt_alone = good.split("-----BEGIN USER").next().unwrap().to_owned();
    let forged = {
        let mut parts = jwt.split('.');
        let (header, _, signature) = (parts.next().unwrap(), parts.next(), parts.next().unwrap());
        let mut claims = world.user_claims.clone();
        claims["nats"]["pub"]["allow"] = json!([">"]);
        format!(
            "{header}.{}.{signature}",
            URL_SAFE_NO_PAD.encode(claims.to_string())
        )
    };
    let own_account = World::new().user(|claims| claims["nats"]["type"] = json!("account"));
    let self_signed = World::new().user(|claims| claims["iss"] = claims["sub"].clone());
    let self_signed = sign(&self_signed.user_claims, &world.user);
    let long = World::new().user(|claims| {
        claims["nats"]["pub"]["allow"] = json!(["x".repeat(3_000)]);
    });
    let expired = World::new().user(|claims| claims["exp"] = json!(NOW));
    let later = World::new().user(|claims| claims["nbf"] = json!(NOW + 1));
    vec![
        Case::new("a login without anything to go by", LOGIN),
        with("an empty credentials file", String::new()),
        with("credentials without a seed", jwt_alone),
        with(
            "credentials whose JWT was cut",
            decorated(&jwt[..100], &seed),
        ),
        with(
            "credentials whose permissions were widened by hand",
            decorated(&forged, &seed),
        ),
        with(
            "credentials whose seed was cut",
            decorated(&jwt, &seed[..50]),
        ),
        with(
            "credentials with the account's seed",
            decorated(&jwt, &account_seed),
        ),
        with(
            "credentials with another user's seed",
            decorated(&jwt, &other_seed),
        ),
        with(
            "credentials with an account's JWT",
            decorated(&world.account_jwt(), &seed),
        ),
        with(
            "credentials whose JWT is of another type",
            own_account.credentials(),
        ),
        with(
            "credentials that a user signed",
            decorated(&self_signed, &seed),
        ),
        with("credentials too long for CONNECT", long.credentials()),
        with("credentials that have expired", expired.credentials()),
        with("credentials for later", later.credentials()),
        with("credentials that are right, and nothing else at hand", good),
    ]
}

/// Credentials that do not go with the account or operator of the broker.
fn chains() -> Vec<Case> {
    let case = |what, world: World| world.case(what, LOGIN);
    let stranger = KeyPair::new_from_raw(KeyPairType::Account, [8; 32])
        .unwrap()
        .public_key();
    let revoked = |key: &str, time: u64| {
        let mut times = serde_json::Map::new();
        times.insert(key.to_owned(), json!(time));
        World::new().account(|claims| claims["nats"]["revocations"] = Value::Object(times))
    };
    let user = World::new().user.public_key();
    let unnamed = World::new().user(|claims| {
        claims["nats"]
            .as_object_mut()
            .unwrap()
            .remove("issuer_account");
    });
    let scoped = World::new().account(|claims| {
        let key = claims["nats"]["signing_keys"][0].clone();
        claims["nats"]["signing_keys"] =
            json!([{"kind": "user_scope", "key": key, "role": "r", "template": {}}]);
    });
    let mut foreign_operator = World::new();
    foreign_operator.operator = KeyPair::new_from_raw(KeyPairType::Operator, [7; 32]).unwrap();
    let foreign_operator = foreign_operator.operator_jwt();
    let mut another_operator = World::new().case("an account of another operator", LOGIN);
    another_operator.files[2].1 = foreign_operator;
    let mut no_account = World::new().case("a file that is no account's JWT", LOGIN);
    no_account.files[1].1 = World::new().user_jwt();
    vec![
        no_account,
        case(
            "credentials of another account",
            World::new().user(|claims| claims["nats"]["issuer_account"] = json!(stranger)),
        ),
        another_operator,
        case("a signing key without issuer_account", unnamed),
        case(
            "a signing key that the account took off its list",
            World::new().account(|claims| claims["nats"]["signing_keys"] = json!([])),
        ),
        case("a scoped signing key with permissions of its own", scoped),
        case(
            "credentials revoked in the second they were issued",
            revoked(&user, NOW - 1000),
        ),
        case("an account with all its users revoked", revoked("*", NOW)),
        case(
            "credentials issued after a revocation of all",
            revoked("*", NOW - 1001),
        ),
        case(
            "credentials of an account that has expired",
            World::new().account(|claims| claims["exp"] = json!(NOW - 1)),
        ),
    ]
}

/// What the broker gives a reason for.
fn ends() -> Vec<Case> {
    let end = |what, line: &str| Case::new(what, line);
    vec![
        World::new().case(
            "a connection at the end of its credentials",
            "nats: User Authentication Expired",
        ),
        end(
            "a connection whose user was revoked",
            "-ERR 'User Authentication Revoked'",
        ),
        end(
            "a connection whose account expired",
            "-ERR 'Account Authentication Expired'",
        ),
        end(
            "a CONNECT that is too long",
            "-ERR 'maximum control line exceeded'",
        ),
        end(
            "a client that did not log in",
            "-ERR 'Authentication Timeout'",
        ),
        end(
            "a plain client of a broker with TLS",
            "-ERR 'Secure Connection - TLS Required'",
        ),
        end(
            "one connection too many",
            "nats: maximum account active connections exceeded",
        ),
        end("a full broker", "nats: maximum connections exceeded"),
        end(
            "one subscription too many",
            "nats: maximum subscriptions exceeded",
        ),
        end("a message too large", "-ERR 'Maximum Payload Violation'"),
    ]
}

fn sign(claims: &Value, signer: &KeyPair) -> String {
    let header = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = signer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn decorated(jwt: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

const LOGIN: &str = "nats: Authorization Violation";

#[test]
fn the_chain_that_the_cases_are_made_of_is_what_the_library_makes() {
    let key = |kind, byte| Nkey::from_random(kind, [byte; 32]).unwrap();
    let operator = Operator::new("acme", key(NkeyKind::Operator, 1)).unwrap();
    let account = Account::new("bus", key(NkeyKind::Account, 2)).unwrap();
    let account = account.with_signing_key(key(NkeyKind::Account, 3)).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - 2000);
    let world = World::new();
    let case = Case::new("", LOGIN)
        .with("--creds", world.credentials_with(&permissions()))
        .with(
            "--account-jwt",
            operator.sign_account(&account, now).unwrap(),
        )
        .with("--operator-jwt", operator.jwt(now).unwrap());
    assert_eq!(case.json().0["code"], "login_refused");
    assert_eq!(world.case("", LOGIN).json().0["code"], "login_refused");
}
