//! What is asked of an issuer: an operation with claims of some size.

use clap::ValueEnum;
use e2e::Product;
use serde::Serialize;

/// An endpoint under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// Mint of access.token.core.
    AccessMint,
    /// Mint of bearer.token.core.
    BearerMint,
    /// JWKS of access.token.core.
    Jwks,
}

/// An operation and the size of its claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Workload {
    pub(crate) operation: Operation,
    /// Bytes of JSON; 0 where the operation takes none.
    pub(crate) claims: u32,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::AccessMint, Self::BearerMint, Self::Jwks];

    /// Returns the issuer that is asked.
    pub(crate) fn product(self) -> Product {
        match self {
            Self::AccessMint | Self::Jwks => Product::ACCESS_TOKEN,
            Self::BearerMint => Product::BEARER_TOKEN,
        }
    }

    /// Tells whether each answer needs a signature.
    pub(crate) fn signs(self) -> bool {
        matches!(self, Self::AccessMint | Self::BearerMint)
    }

    pub(crate) fn port(self) -> u16 {
        if self.signs() { 666 } else { 888 }
    }

    /// Returns the path, which is one plain segment.
    pub(crate) fn path(self) -> &'static str {
        if self.signs() { "mint" } else { "jwks" }
    }

    pub(crate) fn method(self) -> &'static str {
        if self.signs() { "POST" } else { "GET" }
    }

    /// Returns what people call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::AccessMint => "access Mint",
            Self::BearerMint => "bearer Mint",
            Self::Jwks => "JWKS",
        }
    }
}

impl Workload {
    /// Returns every workload of these operations, in their order; only mints are repeated for each size of claims.
    pub(crate) fn all(operations: &[Operation], claims: &[u32]) -> Vec<Self> {
        let sizes = |operation: &Operation| if operation.signs() { claims } else { &[0] };
        let pairs = operations
            .iter()
            .flat_map(|operation| sizes(operation).iter().map(move |size| (*operation, *size)));
        pairs
            .map(|(operation, claims)| Self { operation, claims })
            .collect()
    }

    /// Returns what people call it, such as `access Mint, 200 B`.
    pub(crate) fn title(self) -> String {
        match self.claims {
            0 => self.operation.title().to_owned(),
            size => format!("{}, {size} B", self.operation.title()),
        }
    }

    /// Returns the body of a request; the claims in it are those of a person, filled up with groups.
    pub(crate) fn body(self) -> String {
        if !self.operation.signs() {
            return String::new();
        }
        let mut claims = r#"{"iss":"https://idp.example","sub":"h","groups":["#.to_owned();
        let size = usize::try_from(self.claims).unwrap_or(usize::MAX);
        let mut group = 0_u32;
        while claims.len() + GROUP_BYTES < size.saturating_sub(2) {
            claims.push_str(&format!("\"group-{group:06}\","));
            group += 1;
        }
        let fill = size.saturating_sub(claims.len() + 4);
        claims.push_str(&format!("\"{}\"]}}", "g".repeat(fill)));
        format!("{{\"claims\":{claims}}}")
    }
}

/// One group name with its quotes and comma.
const GROUP_BYTES: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_have_the_size_that_was_asked_for_and_are_json() {
        for claims in [64, 200, 201, 4096] {
            let operation = Operation::AccessMint;
            let body = Workload { operation, claims }.body();
            let value: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(value["claims"]["iss"], "https://idp.example");
            assert_eq!(body.len(), claims as usize + r#"{"claims":}"#.len());
        }
    }

    #[test]
    fn a_key_set_is_asked_for_once_whatever_the_sizes_of_claims() {
        let workloads = Workload::all(&Operation::ALL, &[200, 4096]);
        let titles: Vec<_> = workloads.iter().map(|workload| workload.title()).collect();
        let expected = [
            "access Mint, 200 B",
            "access Mint, 4096 B",
            "bearer Mint, 200 B",
            "bearer Mint, 4096 B",
            "JWKS",
        ];
        assert_eq!(titles, expected);
        assert_eq!(workloads[4].body(), "");
    }
}
