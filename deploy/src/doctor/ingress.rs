//! Whether the ingress encrypts, and lets nobody through to internal ports.
//!
//! Source: spec: deploy 9.3.

use super::certificate::{self, Judged};
use super::{Check, Finding};
use crate::broker::tls;
use microbus_bus::Artifacts;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

pub(super) const TLS: Check = Check {
    id: "ingress-tls",
    what: "encryption at the ingress",
    expected: "https with a certificate that browsers believe, for two weeks more; http only to redirect",
};

pub(super) const PORTS: Check = Check {
    id: "ingress-ports",
    what: "internal ports of the bus, through the ingress",
    expected: "404 for each of them",
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
    if open.is_empty() {
        return PORTS.pass(format!("{} paths, each 404", INTERNAL.len()));
    }
    PORTS.fail(
        open.join("; "),
        "run the ingress with MICROBUS_DEPLOYMENT=PROD, and map no external port to an internal one",
    )
}

struct Answer {
    status: u16,
    certificate: Vec<u8>,
}

async fn get(url: &Url, path: &str, artifacts: &Artifacts) -> Result<Answer, String> {
    let host = url.host_str().ok_or("no host")?.to_owned();
    let port = url.port_or_known_default().ok_or("no port")?;
    let asking = async {
        let plain = TcpStream::connect((host.as_str(), port))
            .await
            .map_err(|error| error.to_string())?;
        if url.scheme() != "https" {
            let status = status_of(plain, &host, path).await?;
            return Ok(Answer {
                status,
                certificate: Vec::new(),
            });
        }
        let encrypted = tls::handshake(plain, &host, artifacts)
            .await
            .map_err(|error| error.to_string())?;
        let certificate = tls::certificate(&encrypted).unwrap_or_default();
        let status = status_of(encrypted, &host, path).await?;
        Ok(Answer {
            status,
            certificate,
        })
    };
    timeout(PATIENCE, asking)
        .await
        .map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?
}

async fn status_of(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    path: &str,
) -> Result<u16, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut line = Vec::new();
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        (&mut stream)
            .take(LONGEST_STATUS_LINE)
            .read_to_end(&mut line)
            .await
    };
    exchange.await.map_err(|error| error.to_string())?;
    let line = String::from_utf8_lossy(&line);
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    status.ok_or_else(|| "whoever listens there speaks no HTTP".to_owned())
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
const LONGEST_STATUS_LINE: u64 = 64;
