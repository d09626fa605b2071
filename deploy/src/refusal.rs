//! Every reason for which a verifier or the broker refuses, with a code that scripts and runbooks may rely on.
//!
//! `REFUSALS.md` is this table; a test holds the two together. A code is never given another meaning, and a reason that is
//! told from others only later gets a code of its own.

mod remedy;

use clap::ValueEnum;

/// Why something is refused. The first line of each is what the operator reads; the code is the name in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Reason {
    // A token: how it is written.
    /// There is no text at all
    Empty,
    /// The token has more bytes than a verifier reads
    TooLarge,
    /// The token does not have exactly three parts between dots
    Segments,
    /// The text is an encrypted token (JWE), which no issuer of ours makes
    Encrypted,
    /// The text is a token in JSON serialization; verifiers read the compact one
    JsonSerialization,
    /// A part of the token is not base64url
    Encoding,
    /// A part of the token is padded with `=`, or with its percent escape
    EncodingPadded,
    /// A part of the token is standard base64, with `+` or `/`
    EncodingStandard,
    // A token: its header.
    /// The header is not one JSON object
    HeaderMalformed,
    /// The header has a member twice, so that two readers may understand two things
    HeaderDuplicate,
    /// The header names no algorithm
    AlgMissing,
    /// The token is unsigned: `alg` is `none`
    AlgNone,
    /// `alg` is an HMAC, for which a public key would serve as the secret
    AlgHmac,
    /// `alg` is RSA, which is how other identity providers sign
    AlgRsa,
    /// `alg` is ECDSA, which is how other identity providers sign
    AlgEcdsa,
    /// `alg` is meant to be `EdDSA` or none, but is not spelled as the standard spells it
    AlgSpelling,
    /// `alg` is another one than `EdDSA`
    AlgOther,
    /// The text is a JWT of the broker: a credential, not a token
    BrokerJwt,
    /// The header has `crit`: it demands an extension that no verifier of ours knows
    HeaderCrit,
    /// The header has `b64`, which changes what is signed
    HeaderUnencoded,
    /// The header brings its own key (`jwk` or `x5c`)
    HeaderKey,
    /// The header says where to fetch a key (`jku` or `x5u`)
    HeaderKeyUrl,
    /// The header says that the payload is encrypted or compressed (`enc` or `zip`)
    HeaderEncryption,
    /// `typ` is another one than JWT
    Typ,
    /// The header names no key
    KidMissing,
    /// `kid` is not 1 to 64 characters of A-Z, a-z, 0-9, `_` and `-`
    KidMalformed,
    // A token: its claims.
    /// The payload is not one JSON object
    PayloadMalformed,
    /// The payload has a claim twice, so that two readers may understand two things
    PayloadDuplicate,
    /// `iss` is missing or no text
    IssMissing,
    /// `iss` has upper-case letters; the host must be exact
    IssCase,
    /// `iss` has a slash or path behind the host
    IssPath,
    /// `iss` has a port behind the host
    IssPort,
    /// `iss` has a login before the host
    IssLogin,
    /// `iss` contains the name of an issuer but is another host
    IssLookalike,
    /// `iss` is nobody whom verifiers believe
    IssForeign,
    /// The token is an access token, and an ingress takes bearer tokens only
    AccessTokenAtEdge,
    // The keys.
    /// The JWK Set is not the JSON of a JWK Set
    JwksMalformed,
    /// The JWK Set has more than 64 KiB
    JwksTooLarge,
    /// The JWK Set has more than 64 keys
    JwksTooMany,
    /// The JWK Set publishes a private key (member `d`)
    JwksPrivateKey,
    /// A key of the JWK Set has an `x` that is not 32 bytes in base64url
    JwksX,
    /// A key of the JWK Set has no `kid`, or a malformed one
    JwksKid,
    /// A key of the JWK Set is for another algorithm or use
    JwksMember,
    /// A key of the JWK Set is a point of small order, under which anybody can sign
    JwksSmallOrder,
    /// A key of the JWK Set is no canonically encoded point of the curve
    JwksNotAPoint,
    /// Two keys of the JWK Set have the same `kid`
    JwksConflict,
    /// The JWK Set is empty: the issuer has no key
    JwksEmpty,
    /// The JWK Set has keys of other types only
    JwksForeign,
    /// No replica of the issuer publishes the key
    KidUnknown,
    /// The key is the other issuer's; a key counts only for the issuer that publishes it
    KidOfOtherIssuer,
    // A token: its signature and times.
    /// The signature is empty
    SignatureMissing,
    /// The signature does not have 64 bytes
    SignatureLength,
    /// The signature was changed into another one of the same text (S is not below the group order)
    SignatureMalleated,
    /// The signature is that of another published key than `kid` names
    SignatureOfOtherKey,
    /// The signature is not that of this text under its key
    Signature,
    /// The token has no `exp`
    ExpMissing,
    /// The token has no `iat`
    IatMissing,
    /// `exp`, `iat` or `nbf` is not a number
    TimeMalformed,
    /// `exp` is past
    Expired,
    /// `iat` is to come: the issuer's clock is ahead of the verifier's
    IssuedLater,
    /// `nbf` is to come
    NotYetValid,
    // A subject: publishing.
    /// The subject is on another plane than the credentials
    PlaneDiffers,
    /// The subject is none of the bus: an inbox, a system subject or another application's
    NotOfTheBus,
    /// The subject's source is another host than that of the credentials
    SourceNotOwn,
    /// The answer's source is another host than that of the credentials
    ReplySourceNotOwn,
    /// The trust of the subject does not go with its port: 666 is danger, any other safe
    TrustOfPort,
    /// Nothing is granted at this host
    DestinationNotGranted,
    /// Port 666 of this host is not granted
    DangerNotGranted,
    /// This port of the host is not granted
    PortNotGranted,
    /// This slot of the host is not granted
    SlotNotGranted,
    /// This method of the endpoint is not granted
    MethodNotGranted,
    /// This path of the host is not granted
    PathNotGranted,
    // A subject: subscribing.
    /// The subscription is for the endpoints of another host
    SubscriptionOfOther,
    /// The subscription is for the answers to another host
    RepliesOfOther,
    /// The subscription is for the own port 666, which is not granted
    OwnDangerNotGranted,
    /// The subscription takes in more than what is granted
    SubscriptionTooBroad,
    /// The subscription is for broadcasts to another port than 888
    BroadcastPort,
    /// The subject is granted, but not with this queue group
    QueueNotGranted,
    /// A deny list of the credentials names the subject
    Denied,
    /// These credentials allow it, so the process had others
    GrantedHere,
    // A login: the credentials by themselves.
    /// The credentials file has no JWT
    CredsWithoutJwt,
    /// The credentials file has no seed
    CredsWithoutSeed,
    /// The JWT of the credentials cannot be read
    CredsJwtMalformed,
    /// The JWT of the credentials was changed after it was signed
    CredsJwtChanged,
    /// The seed of the credentials cannot be read, or is not that of a user
    CredsSeedMalformed,
    /// The seed of the credentials is not that of their JWT
    CredsSeedDiffers,
    /// The JWT of the credentials is not that of a user
    CredsNotOfUser,
    /// The JWT of the credentials is not signed by a key of an account
    CredsSignerNotAccount,
    /// The JWT of the credentials is longer than the broker reads
    CredsTooLong,
    /// The credentials have expired
    CredsExpired,
    /// The credentials are for later
    CredsNotYetValid,
    // A login: the credentials and their account.
    /// The account's JWT cannot be read, or is not that of an account
    AccountMalformed,
    /// The credentials belong to another account than the broker's
    AccountDiffers,
    /// The account is signed by another operator than the broker's
    OperatorDiffers,
    /// The credentials are signed by a signing key but do not name the account (`issuer_account`)
    IssuerAccountMissing,
    /// The credentials are signed by a key that the account does not list
    SignerNotListed,
    /// The signing key is scoped, and the credentials have permissions of their own
    SignerScoped,
    /// The credentials are revoked
    CredsRevoked,
    /// The account's JWT has expired
    AccountExpired,
    /// The login was refused, and what is at hand does not tell why
    LoginRefused,
    // A connection that the broker ends.
    /// The client did not log in in time
    LoginTimeout,
    /// The broker wants TLS
    TlsRequired,
    /// The broker, the account or the user allows no more connections
    TooManyConnections,
    /// The broker, the account or the user allows no more subscriptions
    TooManySubscriptions,
    /// A message is larger than the broker, the account or the user allows
    PayloadTooLarge,
}

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// Whoever verifies tokens: a connector or an ingress.
    Verifier,
    /// The broker, by the permissions of a connection.
    Permissions,
    /// The broker, before or after a connection is let in.
    Login,
}

impl Refuser {
    /// Returns the words for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verifier => "verifier",
            Self::Permissions => "broker, permissions",
            Self::Login => "broker, login",
        }
    }
}

impl Reason {
    /// Returns all reasons, in the order of the table.
    #[must_use]
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Returns the code, such as `kid_unknown`.
    #[must_use]
    pub fn code(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Returns what it means, in one sentence without a full stop.
    #[must_use]
    pub fn meaning(self) -> String {
        let value = self.to_possible_value();
        let help = value.and_then(|value| value.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }

    /// Returns who refuses.
    #[must_use]
    pub fn refuser(self) -> Refuser {
        if self < Self::PlaneDiffers {
            Refuser::Verifier
        } else if self < Self::CredsWithoutJwt {
            Refuser::Permissions
        } else {
            Refuser::Login
        }
    }

    /// Returns the label that verifiers count the refusal under, in the metric of refused actors; the broker counts
    /// nothing.
    #[must_use]
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a reason of the broker's has no label, and a test finds one of a verifier that lacks it"
    )]
    pub fn verifier_label(self) -> Option<&'static str> {
        Some(match self {
            Self::TooLarge => "too_large",
            Self::Empty | Self::Segments | Self::Encrypted | Self::JsonSerialization => "segments",
            Self::Encoding | Self::EncodingPadded | Self::EncodingStandard => "encoding",
            Self::HeaderMalformed | Self::HeaderDuplicate => "header",
            Self::AlgNone => "alg_none",
            Self::AlgMissing
            | Self::AlgHmac
            | Self::AlgRsa
            | Self::AlgEcdsa
            | Self::AlgSpelling => "alg",
            Self::AlgOther | Self::BrokerJwt => "alg",
            Self::HeaderCrit | Self::HeaderUnencoded | Self::HeaderKey => "header_member",
            Self::HeaderKeyUrl | Self::HeaderEncryption => "header_member",
            Self::Typ => "typ",
            Self::KidMissing => "kid_missing",
            Self::KidMalformed => "kid_malformed",
            Self::PayloadMalformed | Self::PayloadDuplicate => "payload",
            Self::IssMissing | Self::IssCase | Self::IssPath | Self::IssPort | Self::IssLogin => {
                "issuer"
            }
            Self::IssLookalike | Self::IssForeign | Self::AccessTokenAtEdge => "issuer",
            Self::JwksMalformed | Self::JwksTooLarge | Self::JwksTooMany | Self::JwksPrivateKey => {
                "no_keys"
            }
            Self::JwksX | Self::JwksKid | Self::JwksMember | Self::JwksSmallOrder => "no_keys",
            Self::JwksNotAPoint | Self::JwksConflict => "no_keys",
            Self::JwksEmpty | Self::JwksForeign | Self::KidUnknown | Self::KidOfOtherIssuer => {
                "unknown_kid"
            }
            Self::SignatureMissing | Self::SignatureLength => "signature_length",
            Self::SignatureMalleated | Self::SignatureOfOtherKey | Self::Signature => "signature",
            Self::ExpMissing => "exp_missing",
            Self::IatMissing => "iat_missing",
            Self::TimeMalformed => "time_malformed",
            Self::Expired => "expired",
            Self::IssuedLater => "issued_later",
            Self::NotYetValid => "not_yet_valid",
            _ => return None,
        })
    }
}
