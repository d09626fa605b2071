//! Collectors that speak TLS: whom an exporter believes, and who it says that it is.

use crate::{PATIENCE, grpc, listen, names, outcome, span, start, until};
use microbus_otlp::{Exporter, Spans};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Endpoint of traces at a collector on this machine, by protocol.
const PROTOCOLS: [(&str, &str); 2] = [("http/protobuf", "/v1/traces"), ("grpc", "")];

/// Whoever signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// What a collector heard of one export: the protocol that was agreed on, and the names of the spans.
type Heard = (Vec<u8>, Vec<String>);

/// Serves both protocols over TLS as `name`, to clients with a certificate of `clients` if there is one.
fn collector(
    authority: &Authority,
    name: &str,
    clients: Option<&Authority>,
) -> (u16, Receiver<Heard>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let (certificate, key) = authority.issue(name);
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = builder
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let (heard, hearing) = channel();
    let address = listen(async move |stream| serve(stream, acceptor.clone(), &heard).await);
    (address.port(), hearing)
}

/// Serves one connection; a client that does not believe us, or whom we do not believe, gets nothing.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, heard: &Sender<Heard>) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let agreed = stream.get_ref().1.alpn_protocol().unwrap().to_vec();
    if agreed == b"h2" {
        let (called, calls) = channel();
        grpc::serve(stream, "0", &called).await;
        for (_, body) in calls.try_iter() {
            drop(heard.send((agreed.clone(), names(&body[5..]))));
        }
        return;
    }
    let mut request = Vec::new();
    while let Some(body) = body_of(&request).is_none().then_some(&mut request) {
        if stream.read_buf(body).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let told = heard.send((agreed, names(body_of(&request).unwrap())));
    drop(told);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// Returns the body of a request, once it is there as a whole.
fn body_of(request: &[u8]) -> Option<&[u8]> {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.split("content-length: ").nth(1)?.lines().next()?;
    request.get(end + 4..end + 4 + length.parse::<usize>().ok()?)
}

/// A folder with files in PEM, and an exporter of traces that is told of them.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, content: &str) -> String {
        let path: &Path = &self.0.path().join(name);
        std::fs::write(path, content).unwrap();
        path.display().to_string()
    }

    fn exporter(
        &self,
        endpoint: &str,
        protocol: &str,
        authority: Option<&Authority>,
        client: Option<&Authority>,
    ) -> Exporter {
        let mut variables = vec![
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.to_owned()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ];
        if let Some(authority) = authority {
            let file = self.put("ca.pem", &authority.0.pem());
            variables.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", file));
        }
        if let Some(client) = client {
            let (certificate, key) = client.issue("issuer");
            let file = self.put("client.pem", &certificate.pem());
            variables.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file));
            let file = self.put("client.key", &key.serialize_pem());
            variables.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", file));
        }
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        start(&variables, Spans::All)
    }
}

fn expect_exported(exporter: &Exporter, heard: &Receiver<Heard>, protocol: &str) {
    exporter.span(span(1, ":666/mint"));
    until(exporter, |outcome| outcome.exported + outcome.dropped == 1);
    let outcome = outcome(exporter);
    assert!(outcome.exported == 1 && !outcome.failing, "{outcome:?}");
    assert!(exporter.finish(PATIENCE));
    let agreed: &[u8] = if protocol == "grpc" {
        b"h2"
    } else {
        b"http/1.1"
    };
    let expected = (agreed.to_vec(), vec![":666/mint".to_owned()]);
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), expected);
}

fn expect_lost(exporter: &Exporter, heard: &Receiver<Heard>) {
    exporter.span(span(1, ":666/mint"));
    until(exporter, |outcome| outcome.exported + outcome.dropped == 1);
    let outcome = outcome(exporter);
    assert!(outcome.dropped == 1 && outcome.failing, "{outcome:?}");
    assert!(exporter.finish(PATIENCE));
    assert!(heard.try_recv().is_err(), "nothing was told");
}

#[test]
fn a_collector_of_the_operators_own_authority_is_believed_for_its_own_name() {
    let (authority, files) = (Authority::new(), Files::new());
    for (protocol, path) in PROTOCOLS {
        for name in ["localhost", "127.0.0.1"] {
            let (port, heard) = collector(&authority, name, None);
            let endpoint = format!("https://{name}:{port}{path}");
            let exporter = files.exporter(&endpoint, protocol, Some(&authority), None);
            expect_exported(&exporter, &heard, protocol);
        }
    }
}

#[test]
fn what_a_collector_was_to_get_that_is_not_believed_is_lost_and_counted() {
    let (authority, other, files) = (Authority::new(), Authority::new(), Files::new());
    for (protocol, path) in PROTOCOLS {
        for (name, trusted) in [
            ("localhost", Some(&other)),
            // Whom this machine trusts.
            ("localhost", None),
            ("collector.example", Some(&authority)),
        ] {
            let (port, heard) = collector(&authority, name, None);
            let endpoint = format!("https://localhost:{port}{path}");
            let exporter = files.exporter(&endpoint, protocol, trusted, None);
            expect_lost(&exporter, &heard);
        }
    }
}

#[test]
fn an_exporter_shows_its_certificate_where_it_has_one() {
    let (authority, clients, files) = (Authority::new(), Authority::new(), Files::new());
    for (protocol, path) in PROTOCOLS {
        for shown in [Some(&clients), Some(&authority), None] {
            let (port, heard) = collector(&authority, "localhost", Some(&clients));
            let endpoint = format!("https://localhost:{port}{path}");
            let exporter = files.exporter(&endpoint, protocol, Some(&authority), shown);
            if shown.is_some_and(|shown| std::ptr::eq(shown, &clients)) {
                expect_exported(&exporter, &heard, protocol);
            } else {
                expect_lost(&exporter, &heard);
            }
        }
    }
}

#[test]
fn a_collector_that_speaks_in_clear_where_tls_is_wanted_gets_nothing() {
    let files = Files::new();
    for (protocol, path) in PROTOCOLS {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, heard) = channel();
        std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 64 << 10];
            let length = stream.read(&mut request).unwrap();
            request.truncate(length);
            told.send(request).unwrap();
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        });
        let endpoint = format!("https://localhost:{port}{path}");
        let exporter = files.exporter(&endpoint, protocol, Some(&Authority::new()), None);
        exporter.span(span(1, "planted"));
        until(&exporter, |outcome| outcome.dropped == 1 && outcome.failing);
        let request = heard.recv_timeout(PATIENCE).unwrap();
        assert_eq!(request.first(), Some(&0x16), "a TLS handshake");
        assert!(!request.windows(7).any(|part| part == b"planted"));
    }
}
