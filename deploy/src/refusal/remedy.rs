//! What to do about each refusal.

use super::Reason;

impl Reason {
    /// Returns what to do about it, in a sentence or two.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Empty => "Pass the token, or the line of the log, on standard input.",
            Self::TooLarge => {
                "Mint with fewer claims: what a service can look up does not belong into a token."
            }
            Self::Segments => {
                "Copy the whole token, without line breaks, and not the session ID or the cookie around it."
            }
            Self::Encrypted | Self::AlgRsa | Self::AlgEcdsa | Self::IssForeign => {
                "Tokens of other identity providers are not believed on the bus: have a bridge verify them and mint one."
            }
            Self::JsonSerialization => {
                "Send the compact form: header, payload and signature with dots between."
            }
            Self::Encoding | Self::EncodingPadded | Self::EncodingStandard => {
                "Find what rewrites the token on its way (a proxy, a cookie store, a template) and pass it on as it was minted."
            }
            Self::HeaderMalformed
            | Self::HeaderDuplicate
            | Self::PayloadMalformed
            | Self::PayloadDuplicate => {
                "No issuer makes such a token: find who wrote it, or what cut it."
            }
            Self::AlgNone => {
                "Unsigned tokens are for tests of services only: mint a real one, and set MICROBUS_DEPLOYMENT so that nobody expects otherwise."
            }
            Self::AlgMissing | Self::AlgHmac | Self::AlgSpelling | Self::AlgOther => {
                "Take this for an attack until its sender is known: our issuers sign with EdDSA and nothing else."
            }
            Self::BrokerJwt => {
                "Credentials log in to the broker: give the file to `inspect`, and send a minted token instead."
            }
            Self::HeaderCrit
            | Self::HeaderUnencoded
            | Self::HeaderKey
            | Self::HeaderKeyUrl
            | Self::HeaderEncryption
            | Self::Typ => {
                "Take this for an attack until its sender is known: no issuer of ours writes such a header."
            }
            Self::KidMissing | Self::KidMalformed => {
                "Mint it at an issuer of the bus: those always name their key."
            }
            Self::IssMissing | Self::IssCase | Self::IssPath | Self::IssPort | Self::IssLogin => {
                "The issuer must be written as https://access.token.core or https://bearer.token.core: mend whoever writes `iss`."
            }
            Self::IssLookalike => {
                "Take this for an attack until its sender is known: only the two hosts themselves are believed."
            }
            Self::AccessTokenAtEdge => {
                "Send the bearer token to the ingress: it fetches an access token for each request by itself."
            }
            Self::JwksMalformed | Self::JwksTooLarge | Self::JwksTooMany => {
                "Save the answer of the issuer's :888/jwks itself, and see who else can answer for its host: `audit` lists them."
            }
            Self::JwksPrivateKey => {
                "Replace the key now, at the issuer and at whoever saved the set: whoever saw it can mint."
            }
            Self::JwksX
            | Self::JwksKid
            | Self::JwksMember
            | Self::JwksSmallOrder
            | Self::JwksNotAPoint
            | Self::JwksConflict => {
                "Our issuers publish no such key: see who can answer for the issuer's host (`audit`), and restart it."
            }
            Self::JwksEmpty => "Give the issuer its key (PrivateKeyFile), then mint again.",
            Self::JwksForeign => {
                "Save the JWK Set of the issuer that the token names, not that of an identity provider."
            }
            Self::KidUnknown => {
                "If the key was rotated, mint again. If it should be there, look whether its replica runs and the JWK Set is a fresh one."
            }
            Self::KidOfOtherIssuer => {
                "Take this for an attack until its sender is known: a holder of one issuer's key writes the other's name."
            }
            Self::SignatureMissing => {
                "Copy the whole token: the part behind the second dot is missing."
            }
            Self::SignatureLength => {
                "Copy the whole token: its signature was cut, or another tool signed it."
            }
            Self::SignatureMalleated => {
                "Take this for an attack until its sender is known: no signer makes such a signature."
            }
            Self::SignatureOfOtherKey => {
                "Mint it at an issuer of the bus: this one was signed by hand, under the wrong name."
            }
            Self::Signature => {
                "The token was changed after it was signed, or signed by nobody we know: mint again, and if it recurs find who changes it."
            }
            Self::ExpMissing | Self::IatMissing | Self::TimeMalformed => {
                "Mint it at an issuer of the bus: those set the times themselves. A bad `nbf` comes from the claims given to Mint."
            }
            Self::Expired => {
                "Mint again. If it was minted just now, the verifier's clock is ahead, or the caller's time budget was too short."
            }
            Self::IssuedLater => "Set the clocks: `doctor` compares them with the broker's.",
            Self::NotYetValid => "Wait until then, or leave `nbf` out of the claims given to Mint.",
            Self::PlaneDiffers => {
                "Set MICROBUS_PLANE to the plane of the credentials, or make credentials for this plane (`creds --plane`), and restart."
            }
            Self::NotOfTheBus => {
                "Nothing but the bus's own subjects is ever granted: make no use of inboxes, JetStream or the client's own request and reply."
            }
            Self::SourceNotOwn
            | Self::ReplySourceNotOwn
            | Self::RepliesOfOther
            | Self::SubscriptionOfOther => {
                "Start the process with the credentials of its own host, `<hostname>_nats.creds`, in its working directory."
            }
            Self::TrustOfPort => {
                "No connector sends this: whoever publishes it writes subjects by hand."
            }
            Self::DestinationNotGranted
            | Self::PortNotGranted
            | Self::MethodNotGranted
            | Self::PathNotGranted => {
                "Declare the call in the service's list of calls, make its credentials anew (`creds`) and deploy them."
            }
            Self::DangerNotGranted => {
                "If this service may mint, declare the call and have it reviewed (`diff` ends with 4); if not, find out why it tried."
            }
            Self::SlotNotGranted => {
                "Make the credentials anew: grants of ours leave the slot open."
            }
            Self::OwnDangerNotGranted => {
                "If the service has endpoints on port 666, make its credentials anew from its manifest."
            }
            Self::SubscriptionTooBroad => {
                "Subscribe each endpoint by itself: wildcards beyond the own host are never granted."
            }
            Self::BroadcastPort => {
                "Broadcasts reach port 888 only: serve the endpoint on the own host."
            }
            Self::QueueNotGranted => {
                "Use the queue group that the credentials name, or make them anew: ours name none."
            }
            Self::Denied => "Credentials of ours have no deny list: make them anew with `creds`.",
            Self::GrantedHere => {
                "Look which credentials the process has (its working directory, `<hostname>_nats.creds` before `nats.creds`), and restart it."
            }
            Self::CredsWithoutJwt
            | Self::CredsWithoutSeed
            | Self::CredsJwtMalformed
            | Self::CredsSeedMalformed => {
                "Make the credentials anew with `creds`, and copy the whole file."
            }
            Self::CredsJwtChanged | Self::CredsSeedDiffers => {
                "Make the credentials anew with `creds`: the file was changed, or put together from two."
            }
            Self::CredsNotOfUser | Self::CredsSignerNotAccount => {
                "Services log in as users that an account signed: make the credentials with `creds`, with the account's key."
            }
            Self::CredsTooLong => {
                "List fewer calls or split the service; the broker's max_control_line can be raised, but for all."
            }
            Self::CredsExpired => {
                "Make the credentials anew and deploy them: a process reads them at its next connection."
            }
            Self::CredsNotYetValid => {
                "Set the clocks, or wait: `inspect` shows from when on they count."
            }
            Self::AccountMalformed => {
                "Give the JWT of the account that the broker has, as `inspect` shows it."
            }
            Self::AccountDiffers => {
                "Make the credentials anew with a key of this account, or connect to the broker of theirs."
            }
            Self::OperatorDiffers => {
                "Sign the account with the operator that the broker trusts, and push it."
            }
            Self::IssuerAccountMissing => {
                "Make the credentials anew with `creds`, which names the account; the original generator does not."
            }
            Self::SignerNotListed => {
                "Make the credentials anew with a key that the account lists, or push the account's newer JWT to the broker."
            }
            Self::SignerScoped => "Make the credentials anew with a signing key without a scope.",
            Self::CredsRevoked => {
                "Find out who revoked them and why; then make the credentials anew, with a new user key."
            }
            Self::AccountExpired => {
                "Sign the account anew with the operator's key and push it: no user of it can connect."
            }
            Self::LoginRefused => {
                "Give what is missing of --creds, --account-jwt and --operator-jwt. Where all of it is in order, the broker has another account or operator than these files: doctor --system-creds compares them, and the broker's log names the cause too."
            }
            Self::LoginTimeout => {
                "Look at the network between the two, and whether the broker is overloaded."
            }
            Self::TlsRequired => {
                "Put ca.pem into the process's working directory and use a tls:// URL."
            }
            Self::TooManyConnections => {
                "Find who holds the connections, or raise the limit of the account or of the broker."
            }
            Self::TooManySubscriptions => {
                "Raise max_subscriptions: a service takes two for each endpoint, and one more for each level of its locality."
            }
            Self::PayloadTooLarge => {
                "Raise max_payload; the bus splits messages by the limit that the broker announces."
            }
        }
    }
}
