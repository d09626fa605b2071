//! What is wrong, or worth knowing, in the credentials of a deployment.
//!
//! Permissions are read, not searched for words: they are base64 inside a JWT, and a wildcard reaches what it does not
//! name. Source: spec: deploy 3.

mod minters;

use crate::credentials::{Credentials, CredentialsError};
use crate::date;
use crate::grants::{Grant, Verb};
use crate::jwt::{Jwt, JwtError};
use crate::signer::MAX_JWT;
use microbus_wire::host::escape_host;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

pub use minters::{Minters, MintersError};

/// A `.creds` file as it lies in a deployment.
#[derive(Debug)]
pub struct Deployed {
    /// Its path, as reports show it.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// What is in it.
    pub credentials: Result<Credentials, CredentialsError>,
}

/// Everything that there is to say about a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What each file is, in their order.
    pub files: Vec<Row>,
    /// Who may mint, with the issuers.
    pub minters: BTreeMap<String, BTreeSet<String>>,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its path.
    pub path: String,
    /// The host name in its JWT.
    pub host: String,
    /// The public key of the user.
    pub user: String,
    /// The public key of the signer.
    pub signed_by: String,
    /// When it was signed.
    pub issued_at: String,
    /// When it ends; `None` is never.
    pub valid_until: Option<String>,
    /// The planes that its patterns name.
    pub planes: Vec<String>,
    /// The size of the JWT.
    pub jwt_bytes: usize,
    /// Every grant that reaches port 666.
    pub danger: Vec<Grant>,
    /// Every grant to publish to any host or any port.
    pub wildcards: Vec<Grant>,
    /// What is wrong or worth knowing.
    pub findings: Vec<Finding>,
}

/// Something that is wrong or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// Whether it is only worth knowing, because it was expected.
    pub expected: bool,
    /// The file's own case of it.
    pub detail: String,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Code {
    /// The file cannot be read as credentials.
    Unreadable,
    /// The JWT was changed, or its signer did not sign it.
    BadSig,
    /// Others than the owner may read the file.
    Mode,
    /// May call Mint of access.token.core.
    MintAccess,
    /// May call Mint of bearer.token.core.
    MintBearer,
    /// May call a Mint on a host that is known only at run time.
    MintAny,
    /// May speak as another service: what the broker vouches for means nothing any more.
    ForeignSrc,
    /// Reaches other planes.
    PlaneWildcard,
    /// Names several planes.
    MixedPlanes,
    /// All of a plane or of one tier of it, as credentials that several services share.
    Shared,
    /// A list is missing, and the broker then allows everything.
    Unrestricted,
    /// Hears the requests to port 666 of another service.
    SubOtherDanger,
    /// Hears the replies to another service.
    SubReplyOther,
    /// Reaches subjects that are none of the bus, such as those of the broker.
    OutsideBus,
    /// Ends only when it is revoked.
    NoExp,
    /// Its time is over.
    Expired,
    /// Its time is over within 72 hours.
    ExpiresSoon,
    /// Too large for the broker's first line.
    Oversize,
    /// The file, the name in the JWT and the subjects are not of one service.
    NameMismatch,
    /// Another file has the same user key.
    DuplicateKey,
}

impl Code {
    /// Returns it as reports show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "UNREADABLE",
            Self::BadSig => "BAD-SIG",
            Self::Mode => "MODE",
            Self::MintAccess => "MINT-ACCESS",
            Self::MintBearer => "MINT-BEARER",
            Self::MintAny => "MINT-ANY",
            Self::ForeignSrc => "FOREIGN-SRC",
            Self::PlaneWildcard => "PLANE-WILDCARD",
            Self::MixedPlanes => "MIXED-PLANES",
            Self::Shared => "SHARED",
            Self::Unrestricted => "UNRESTRICTED",
            Self::SubOtherDanger => "SUB-OTHER-DANGER",
            Self::SubReplyOther => "SUB-REPLY-OTHER",
            Self::OutsideBus => "OUTSIDE-BUS",
            Self::NoExp => "NO-EXP",
            Self::Expired => "EXPIRED",
            Self::ExpiresSoon => "EXPIRES-SOON",
            Self::Oversize => "OVERSIZE",
            Self::NameMismatch => "NAME-MISMATCH",
            Self::DuplicateKey => "DUPLICATE-KEY",
        }
    }
}

/// Judges the files of a deployment at the Unix time `now`; `minters` are those who are expected to mint.
#[must_use]
pub fn audit(files: &[Deployed], minters: &Minters, now: i64) -> Report {
    let mut rows: Vec<_> = files.iter().map(|file| row(file, minters, now)).collect();
    let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.user.is_empty()) {
        let same = paths.entry(row.user.clone()).or_default();
        same.push(row.path.clone());
    }
    let mut who = BTreeMap::new();
    for row in &mut rows {
        let others = paths.get(&row.user).into_iter().flatten();
        let others: Vec<_> = others.filter(|path| **path != row.path).cloned().collect();
        if !others.is_empty() {
            let others = others.join(", ");
            row.find(
                Code::DuplicateKey,
                format!("the same user key is in {others}"),
            );
        }
        let issuers = row
            .findings
            .iter()
            .filter_map(|finding| issuer(finding.code));
        let issuers: BTreeSet<_> = issuers.map(str::to_owned).collect();
        if !issuers.is_empty() {
            let of_host: &mut BTreeSet<_> = who.entry(row.host.clone()).or_default();
            of_host.extend(issuers);
        }
    }
    Report {
        files: rows,
        minters: who,
    }
}

impl Report {
    /// Returns how many findings were not expected.
    #[must_use]
    pub fn unexpected(&self) -> usize {
        let findings = self.files.iter().flat_map(|row| &row.findings);
        findings.filter(|finding| !finding.expected).count()
    }

    /// Returns it as text: a paragraph for each file, then who may mint, then the sum.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for row in &self.files {
            text.push_str(&row.to_text());
        }
        for (host, issuers) in &self.minters {
            let issuers: Vec<_> = issuers.iter().map(String::as_str).collect();
            text.push_str(&format!("{host} may mint: {}\n", issuers.join(", ")));
        }
        let (files, unexpected) = (self.files.len(), self.unexpected());
        text.push_str(&format!("{files} files, {unexpected} findings\n"));
        text
    }
}

impl Row {
    fn find(&mut self, code: Code, detail: impl Into<String>) {
        self.find_expected(code, false, detail);
    }

    fn find_expected(&mut self, code: Code, expected: bool, detail: impl Into<String>) {
        self.findings.push(Finding {
            code,
            expected,
            detail: detail.into(),
        });
    }

    fn to_text(&self) -> String {
        let until = self.valid_until.as_deref().unwrap_or("revoked");
        let planes = self.planes.join(", ");
        let mut text = format!("{}\n", self.path);
        if !self.user.is_empty() {
            text.push_str(&format!(
                "  {} on {planes}, {}, until {until}, {} bytes\n",
                self.host, self.user, self.jwt_bytes
            ));
        }
        for (label, grants) in [("danger", &self.danger), ("wildcard", &self.wildcards)] {
            for grant in grants {
                text.push_str(&format!(
                    "  {label:8} {:9} {}\n",
                    grant.verb.as_str(),
                    grant.pattern
                ));
            }
        }
        for finding in &self.findings {
            let weight = if finding.expected { "note" } else { "FINDING" };
            let (code, detail) = (finding.code.as_str(), &finding.detail);
            text.push_str(&format!("  {weight:8} {code}: {detail}\n"));
        }
        text
    }
}

fn row(file: &Deployed, minters: &Minters, now: i64) -> Row {
    let mut row = Row {
        path: file.path.clone(),
        ..Row::default()
    };
    if file.mode & 0o077 != 0 {
        row.find(
            Code::Mode,
            format!(
                "mode {:04o}; type chmod 600, and rotate if others had access",
                file.mode & 0o777
            ),
        );
    }
    match &file.credentials {
        Err(error) => {
            let is_forged = matches!(error, CredentialsError::Jwt(JwtError::Signature { .. }));
            let code = if is_forged {
                Code::BadSig
            } else {
                Code::Unreadable
            };
            row.find(code, error.to_string());
        }
        // It was read once already, for its seed to be compared.
        Ok(credentials) => match Jwt::read(credentials.jwt()) {
            Err(error) => row.find(Code::Unreadable, error.to_string()),
            Ok(jwt) => {
                row.describe(&jwt, credentials.jwt().len());
                row.judge_times(&jwt, now);
                row.judge_names(&jwt);
                row.judge_grants(&jwt, minters);
            }
        },
    }
    row
}

impl Row {
    fn describe(&mut self, jwt: &Jwt, bytes: usize) {
        let grants = Grant::all_of(jwt);
        self.host.clone_from(&jwt.name);
        self.user.clone_from(&jwt.sub);
        self.signed_by.clone_from(&jwt.iss);
        self.issued_at = date::text(jwt.iat);
        self.valid_until = jwt.exp.map(date::text);
        self.jwt_bytes = bytes;
        self.planes = grants
            .iter()
            .filter_map(Grant::plane)
            .map(str::to_owned)
            .collect();
        self.planes.sort();
        self.planes.dedup();
        let is_wide = |grant: &&Grant| {
            let to_any = grant.destination().is_none() || grant.is_any_port();
            // The two that everybody has go to any host on port 888, and to any caller.
            let is_standard = grant.is_reply() || grant.pattern.contains(".safe.888.");
            grant.verb == Verb::Publish && to_any && !is_standard
        };
        self.wildcards = grants.iter().filter(is_wide).cloned().collect();
        self.danger = grants.into_iter().filter(Grant::is_danger).collect();
        if bytes > MAX_JWT {
            self.find(
                Code::Oversize,
                format!("{bytes} bytes; a broker with its default line takes {MAX_JWT}"),
            );
        }
    }

    fn judge_times(&mut self, jwt: &Jwt, now: i64) {
        match jwt.exp {
            None => {
                self.find_expected(Code::NoExp, true, "a copy of it counts until it is revoked");
            }
            Some(exp) if exp <= now => self.find(Code::Expired, date::text(exp)),
            Some(exp) if exp.saturating_sub(now) < SOON => {
                let left = date::span(exp.saturating_sub(now));
                self.find(
                    Code::ExpiresSoon,
                    format!("in {left}, at {}", date::text(exp)),
                );
            }
            Some(_) => {}
        }
    }

    fn judge_names(&mut self, jwt: &Jwt) {
        let file = self.path.rsplit('/').next().unwrap_or_default().to_owned();
        if file == SHARED_FILE {
            self.find(
                Code::Shared,
                "every service of this directory without a file of its own logs in with it",
            );
        } else if file != format!("{}_nats.creds", jwt.name) {
            self.find(
                Code::NameMismatch,
                format!(
                    "the JWT is of {}, so no service finds it under this name",
                    jwt.name
                ),
            );
        }
        let own = escape_host(&jwt.name).into_owned();
        let answers = Grant::all_of(jwt)
            .into_iter()
            .filter(|grant| grant.verb == Verb::Publish && grant.is_reply());
        for grant in answers {
            if let Some(source) = grant.source().filter(|source| *source != own) {
                let detail = format!("the JWT is of {}, its subjects are of {source}", jwt.name);
                self.find(Code::NameMismatch, detail);
            }
        }
    }

    fn judge_grants(&mut self, jwt: &Jwt, minters: &Minters) {
        for list in ["pub", "sub"] {
            if jwt.strings(&[list, "allow"]).is_empty() {
                self.find(
                    Code::Unrestricted,
                    format!("no {list} list: the broker allows everything"),
                );
            }
        }
        if self.planes.len() > 1 {
            self.find(Code::MixedPlanes, self.planes.join(", "));
        }
        let own = escape_host(&jwt.name).into_owned();
        for grant in Grant::all_of(jwt) {
            self.judge_grant(&grant, &own);
            self.judge_minting(&grant, minters);
        }
    }

    fn judge_grant(&mut self, grant: &Grant, own: &str) {
        let shown = format!("{} {}", grant.verb.as_str(), grant.pattern);
        if grant.is_outside_bus() {
            return self.find(Code::OutsideBus, shown);
        }
        if grant.plane().is_none() {
            self.find(Code::PlaneWildcard, shown.clone());
        }
        if grant.is_whole_tier() {
            self.find(Code::Shared, shown.clone());
        }
        let is_own = |segment: Option<&str>| segment == Some(own);
        match grant.verb {
            Verb::Publish if !is_own(grant.source()) => self.find(Code::ForeignSrc, shown),
            Verb::Subscribe if !is_own(grant.destination()) => {
                if grant.is_reply() {
                    self.find(Code::SubReplyOther, shown.clone());
                }
                if grant.is_danger() {
                    self.find(Code::SubOtherDanger, shown);
                }
            }
            Verb::Publish | Verb::Subscribe => {}
        }
    }

    fn judge_minting(&mut self, grant: &Grant, minters: &Minters) {
        let mut any = grant.destination().is_none();
        for (code, issuer) in ISSUERS {
            if !grant.mints(&escape_host(issuer)) {
                any = false;
                continue;
            }
            let expected = minters.expect(&self.host, issuer);
            self.find_expected(code, expected, grant.pattern.clone());
        }
        if any {
            let all = ISSUERS
                .iter()
                .all(|(_, issuer)| minters.expect(&self.host, issuer));
            self.find_expected(Code::MintAny, all, grant.pattern.clone());
        }
    }
}

fn issuer(code: Code) -> Option<&'static str> {
    let mut issuers = ISSUERS.into_iter();
    issuers.find_map(|(of, issuer)| (of == code).then_some(issuer))
}

const ISSUERS: [(Code, &str); 2] = [
    (Code::MintAccess, "access.token.core"),
    (Code::MintBearer, "bearer.token.core"),
];

/// What a service falls back to that has no credentials of its own.
const SHARED_FILE: &str = "nats.creds";

const SOON: i64 = 72 * 3600;

#[cfg(test)]
mod tests;
