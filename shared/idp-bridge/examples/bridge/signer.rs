//! Keys of an identity provider, and what they sign: anything, so that tests can sign what must be refused.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A private key for one algorithm, under one `kid`.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) alg: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// Makes a key for `RS256`, `PS256`, `ES256`, or else `EdDSA`.
    pub(crate) fn generate(alg: &'static str, kid: &str) -> Result<Self, AnyError> {
        let pair = match alg {
            "RS256" | "PS256" => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?),
            "ES256" => Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?),
            _ => Pair::Ed25519(Ed25519KeyPair::generate()?),
        };
        let kid = kid.to_owned();
        Ok(Self { kid, alg, pair })
    }

    /// Returns the public half as a JWK.
    pub(crate) fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = rsa_numbers(pair.public_key().as_ref());
                json!({"kty": "RSA", "n": encode(n), "e": encode(e)})
            }
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        };
        if let Some(members) = jwk.as_object_mut() {
            for (name, value) in [("kid", &*self.kid), ("alg", self.alg), ("use", "sig")] {
                members.insert(name.to_owned(), value.into());
            }
        }
        jwk
    }

    /// Returns the public half as `SubjectPublicKeyInfo`.
    pub(crate) fn public_der(&self) -> Result<Vec<u8>, AnyError> {
        Ok(match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der()?.as_ref().to_vec(),
            Pair::P256(pair) => pair.public_key().as_der()?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_der()?.as_ref().to_vec(),
        })
    }

    /// Signs bytes with the key's algorithm.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AnyError> {
        self.sign_as(self.alg, message)
    }

    /// Signs bytes with another padding than the key's, if it is an RSA key.
    pub(crate) fn sign_as(&self, alg: &str, message: &[u8]) -> Result<Vec<u8>, AnyError> {
        let random = SystemRandom::new();
        Ok(match &self.pair {
            Pair::Rsa(pair) => {
                let padding = match alg {
                    "PS256" => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)?;
                signature
            }
            Pair::P256(pair) => pair.sign(&random, message)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        })
    }

    /// Returns a token with these very bytes as header and payload.
    pub(crate) fn token(&self, header: &str, payload: &str) -> Result<String, AnyError> {
        let encode = |part: &str| URL_SAFE_NO_PAD.encode(part);
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(signed.as_bytes())?);
        Ok(format!("{signed}.{signature}"))
    }
}

pub(crate) type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Takes `RSAPublicKey` (RFC 8017 appendix A.1.1) of a key of 2048 bits apart.
fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
    // SEQUENCE and INTEGER with two bytes of length each, and a zero before the modulus; INTEGER of three bytes.
    let n = der.get(9..265).unwrap_or_default();
    let e = der.get(267..).unwrap_or_default();
    (n, e)
}
