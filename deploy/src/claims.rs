//! NATS JWTs of version 2: what operators, accounts and users are allowed, as the server reads it.
//!
//! The claim types are our own: a library whose defaults make a user a bearer of its JWT is one forgotten line from
//! an open door, and here the field does not exist. Source: spec: deploy 5.2, 5.3.

use crate::jwt::Jwt;
use crate::nkey::{Nkey, NkeyError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest as _, Sha512_256};
use std::num::NonZeroU32;
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// The body of an operator's JWT.
#[derive(Debug, Serialize)]
pub struct OperatorClaims {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signing_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_account: Option<String>,
    r#type: &'static str,
    version: u8,
}

/// The body of an account's JWT.
#[derive(Debug, Serialize)]
pub struct AccountClaims {
    limits: AccountLimits,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signing_keys: Vec<String>,
    r#type: &'static str,
    version: u8,
}

/// The body of a user's JWT.
#[derive(Debug, Serialize)]
pub struct UserClaims {
    r#pub: AllowList,
    sub: AllowList,
    subs: i64,
    data: i64,
    payload: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_account: Option<String>,
    r#type: &'static str,
    version: u8,
}

impl OperatorClaims {
    /// Claims of an operator whose accounts its identity and `signing_keys` may sign.
    pub(crate) fn new(signing_keys: Vec<String>, system_account: Option<String>) -> Self {
        Self {
            signing_keys,
            system_account,
            r#type: "operator",
            version: VERSION,
        }
    }
}

impl AccountClaims {
    /// Claims of an account without limits, whose users its identity and `signing_keys` may sign.
    pub(crate) fn new(signing_keys: Vec<String>) -> Self {
        Self {
            limits: AccountLimits::NONE,
            signing_keys,
            r#type: "account",
            version: VERSION,
        }
    }
}

impl UserClaims {
    /// Claims of a user that may publish and subscribe exactly what is listed.
    ///
    /// `issuer_account` is the account's public key when a signing key signs instead of the identity: without it
    /// the server refuses the user.
    pub(crate) fn new(
        publish: Vec<String>,
        subscribe: Vec<String>,
        issuer_account: Option<String>,
    ) -> Self {
        Self {
            r#pub: AllowList { allow: publish },
            sub: AllowList { allow: subscribe },
            subs: UNLIMITED,
            data: UNLIMITED,
            payload: UNLIMITED,
            issuer_account,
            r#type: "user",
            version: VERSION,
        }
    }

    /// Bounds the subscriptions of a connection and the bytes of a message; `None` is no bound but the server's.
    pub(crate) fn with_limits(
        mut self,
        subscriptions: Option<NonZeroU32>,
        payload: Option<NonZeroU32>,
    ) -> Self {
        let limit = |bound: Option<NonZeroU32>| bound.map_or(UNLIMITED, |bound| bound.get().into());
        self.subs = limit(subscriptions);
        self.payload = limit(payload);
        self
    }
}

/// Returns the compact JWT that says `body` about the identity `about`, signed by `signer`.
///
/// `expires` is cut to whole seconds; `None` means that it does not expire.
///
/// # Errors
/// [`ClaimsError`] when a time lies before 1970, or the signer has no seed.
pub(crate) fn sign(
    body: &impl Serialize,
    name: &str,
    about: &Nkey,
    signer: &Nkey,
    expires: Option<SystemTime>,
    now: SystemTime,
) -> Result<String, ClaimsError> {
    let envelope = Envelope {
        jti: String::new(),
        iat: unix_seconds(now)?,
        iss: signer.public_key(),
        name,
        sub: &about.public_key(),
        exp: expires.map(unix_seconds).transpose()?,
        nbf: None,
        nats: body,
    };
    seal(envelope, signer)
}

/// Returns the compact JWT that says what `read` says, signed by `signer` now. Members of the body that this crate does
/// not know stay.
///
/// # Errors
/// [`ClaimsError`] when a time lies before 1970, or the signer has no seed.
pub(crate) fn sign_again(
    read: &Jwt,
    signer: &Nkey,
    now: SystemTime,
) -> Result<String, ClaimsError> {
    let positive = |time: Option<i64>| {
        let time = time.map(u64::try_from).transpose();
        time.map_err(|_| ClaimsError::Clock)
    };
    let envelope = Envelope {
        jti: String::new(),
        iat: unix_seconds(now)?,
        iss: signer.public_key(),
        name: &read.name,
        sub: &read.sub,
        exp: positive(read.exp)?,
        nbf: positive(read.nbf)?,
        nats: &read.nats,
    };
    seal(envelope, signer)
}

/// Names the claims by their digest, and signs them.
fn seal(mut envelope: Envelope<'_, impl Serialize>, signer: &Nkey) -> Result<String, ClaimsError> {
    let unnamed = serde_json::to_vec(&envelope)?;
    envelope.jti = data_encoding::BASE32_NOPAD.encode(&Sha512_256::digest(&unnamed));
    let mut jwt = URL_SAFE_NO_PAD.encode(HEADER);
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(&envelope)?, &mut jwt);
    let signature = signer.sign(jwt.as_bytes())?;
    jwt.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jwt);
    Ok(jwt)
}

/// Why a JWT cannot be made.
#[derive(Debug, Error)]
pub enum ClaimsError {
    /// A time before 1970, which the format cannot hold.
    #[error("the clock says a time before 1970; set it")]
    Clock,
    /// The claims could not be written as JSON.
    #[error("the claims cannot be written")]
    Encode(#[from] serde_json::Error),
    /// The signer cannot sign.
    #[error("the signer cannot sign")]
    Signer(#[from] NkeyError),
}

#[derive(Serialize)]
struct Envelope<'a, B> {
    jti: String,
    iat: u64,
    iss: String,
    name: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    nats: &'a B,
}

#[derive(Debug, Serialize)]
struct AllowList {
    allow: Vec<String>,
}

#[derive(Debug, Serialize)]
struct AccountLimits {
    subs: i64,
    data: i64,
    payload: i64,
    imports: i64,
    exports: i64,
    wildcards: bool,
    conn: i64,
    leaf: i64,
}

impl AccountLimits {
    const NONE: Self = Self {
        subs: UNLIMITED,
        data: UNLIMITED,
        payload: UNLIMITED,
        imports: UNLIMITED,
        exports: UNLIMITED,
        wildcards: true,
        conn: UNLIMITED,
        leaf: UNLIMITED,
    };
}

fn unix_seconds(time: SystemTime) -> Result<u64, ClaimsError> {
    time.duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .map_err(|_| ClaimsError::Clock)
}

/// A limit that is left out or 0 is a real zero to the server: nothing may be sent or subscribed.
const UNLIMITED: i64 = -1;
const VERSION: u8 = 2;
const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nkey::NkeyKind;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn part(jwt: &str, index: usize) -> Value {
        let text = URL_SAFE_NO_PAD
            .decode(jwt.split('.').nth(index).unwrap())
            .unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn a_user_jwt_has_exactly_the_members_that_the_server_reads() {
        let account = Nkey::from_random(NkeyKind::Account, [1; 32]).unwrap();
        let user = Nkey::from_random(NkeyKind::User, [2; 32]).unwrap();
        let body = UserClaims::new(vec!["p.>".to_owned()], vec!["s".to_owned()], None);
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_900);
        let expires = now + Duration::from_secs(60);
        let jwt = sign(&body, "svc", &user, &account, Some(expires), now).unwrap();

        assert_eq!(part(&jwt, 0), json!({"typ": "JWT", "alg": "ed25519-nkey"}));
        let mut claims = part(&jwt, 1);
        let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(jti.as_str().unwrap().len(), 52);
        let limits = json!({
            "pub": {"allow": ["p.>"]}, "sub": {"allow": ["s"]},
            "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2,
        });
        assert_eq!(
            claims,
            json!({
                "iat": 1_700_000_000, "exp": 1_700_000_060, "iss": account.public_key(),
                "name": "svc", "sub": user.public_key(), "nats": limits,
            })
        );
    }

    #[test]
    fn the_signature_covers_header_and_claims() {
        let operator = Nkey::from_random(NkeyKind::Operator, [3; 32]).unwrap();
        let jwt = sign(
            &OperatorClaims::new(Vec::new(), None),
            "acme",
            &operator,
            &operator,
            None,
            UNIX_EPOCH,
        )
        .unwrap();
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let judge = nkeys::KeyPair::from_public_key(&operator.public_key()).unwrap();
        judge.verify(signed.as_bytes(), &signature).unwrap();
        assert!(judge.verify(&signed.as_bytes()[1..], &signature).is_err());
    }

    #[test]
    fn two_different_sets_of_claims_have_different_ids() {
        let operator = Nkey::from_random(NkeyKind::Operator, [3; 32]).unwrap();
        let id = |now| {
            let jwt = sign(
                &OperatorClaims::new(Vec::new(), None),
                "acme",
                &operator,
                &operator,
                None,
                now,
            )
            .unwrap();
            part(&jwt, 1)["jti"].clone()
        };
        assert_ne!(id(UNIX_EPOCH), id(UNIX_EPOCH + Duration::from_secs(1)));
    }
}
