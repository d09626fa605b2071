//! Whether the ingress encrypts, and lets nobody through to internal ports.
//!
//! Source: spec: deploy 9.3.

use super::certificate::{self, Judged};
use super::{Check, Finding};
use crate::http::{self, Answer};
use microbus_bus::Artifacts;
use std::time::{Duration, SystemTime};
use url::Url;

pub(super) const TLS: Check = Check {
    id: "ingress-tls",
    what: "encryption at the ingress",
    expected: "https with a certificate that browsers believe, for two weeks more; http only to redirect",
};

pub(super) const PORTS: Check = Check {
    id: "ingress-ports",
    what: "internal ports of the bus, through the ingress",
    expected: "404 for each of them, and something else for a page that is there",
};

pub(super) async fn check(
    ingress: Option<&str>,
    artifacts: &Artifacts,
    now: SystemTime,
) -> Vec<Finding> {
    let Some(ingress) = ingress else {
        let why = "no ingress named with --ingress";
        return vec![TLS.skip(why), PORTS.skip(why)];
    };
    let Ok(url) = Url::parse(ingress) else {
        let remedy = "write https://host or https://host:port";
        return vec![
            TLS.unknown(format!("{ingress} is no URL"), remedy),
            PORTS.skip("no ingress"),
        ];
    };
    vec![
        encrypts(&url, artifacts, now).await,
        hides(&url, artifacts).await,
    ]
}

async fn encrypts(url: &Url, artifacts: &Artifacts, now: SystemTime) -> Finding {
    let remedy = "terminate TLS at the ingress or before it, and redirect http to https";
    if url.scheme() != "https" {
        return match get(url, "/", artifacts).await {
            Ok(answer) if (300..400).contains(&answer.status) => TLS.pass(format!(
                "{url} redirects with {}; name the https URL too",
                answer.status
            )),
            Ok(_) => TLS.fail(format!("{url} answers in plain text"), remedy),
            Err(error) => TLS.unknown(format!("{url}: {error}"), "name the ingress as users do"),
        };
    }
    match get(url, "/", artifacts).await {
        Err(error) => TLS.fail(format!("{url}: {error}"), remedy),
        Ok(answer) => match certificate::judge(&answer.certificate, now) {
            Judged::Lasting { days } => {
                TLS.pass(format!("{url} encrypts; its certificate lasts {days} days"))
            }
            Judged::Ending { days } => TLS.warn(
                format!("the certificate of {url} ends in {days} days"),
                "renew it",
            ),
            Judged::Unreadable => TLS.unknown(
                format!("the certificate of {url} cannot be read"),
                "look at it with openssl x509",
            ),
        },
    }
}

async fn hides(url: &Url, artifacts: &Artifacts) -> Finding {
    let mut open = Vec::new();
    for path in INTERNAL {
        match get(url, path, artifacts).await {
            Ok(answer) if answer.status == 404 => {}
            Ok(answer) => open.push(format!("{path} answers {}", answer.status)),
            Err(error) => return PORTS.unknown(format!("{url}: {error}"), "see ingress-tls"),
        }
    }
    if !open.is_empty() {
        return PORTS.fail(
            open.join("; "),
            "run the ingress with MICROBUS_DEPLOYMENT=PROD, and map no external port to an internal one",
        );
    }
    // Whoever answers everything with 404, such as a proxy that has no ingress behind it, hides nothing.
    match get(url, url.path(), artifacts).await {
        Err(error) => PORTS.unknown(format!("{url}: {error}"), "see ingress-tls"),
        Ok(answer) if answer.status == 404 => PORTS.unknown(
            format!("{} paths, each 404, but so is {url} itself", INTERNAL.len()),
            "name a page that the ingress serves: --ingress https://host/page",
        ),
        Ok(answer) => PORTS.pass(format!(
            "{} paths, each 404, and {url} answers {}",
            INTERNAL.len(),
            answer.status
        )),
    }
}

async fn get(url: &Url, path: &str, artifacts: &Artifacts) -> Result<Answer, String> {
    http::get(url, path, "", artifacts, PATIENCE).await
}

/// Each internal port once, and both ways to write a port that a careless mapping takes for another path.
const INTERNAL: [&str; 6] = [
    "/access.token.core:666/mint",
    "/bearer.token.core:666/mint",
    "/access.token.core:888/jwks",
    "/bearer.token.core%3A888/jwks",
    "/Access.Token.Core:666/mint",
    "/foreman.core:444/x",
];
const PATIENCE: Duration = Duration::from_secs(5);
