use super::*;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Serves one connection with these bytes, and returns where.
async fn answering(answer: Vec<u8>) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let read = stream.read(&mut request).await.unwrap();
        assert!(request[..read].starts_with(b"GET /x?y HTTP/1.1\r\n"));
        // The other side may have hung up: then it needs no answer.
        drop(stream.write_all(&answer).await);
        drop(stream.shutdown().await);
    });
    Url::parse(&format!("http://{address}/x?y")).unwrap()
}

async fn fetched(answer: impl Into<Vec<u8>>) -> Result<Bytes, String> {
    let fetcher = Fetcher::new(None).unwrap();
    let fetched = fetcher.get(&answering(answer.into()).await).await;
    fetched.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_document_is_fetched_however_its_end_is_told() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    ] {
        assert_eq!(fetched(answer).await.unwrap(), "{}", "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_document_is_refused() {
    let huge = |head: &str| [head.as_bytes(), &vec![b' '; LARGEST_DOCUMENT + 1]].concat();
    for (answer, problem) in [
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
            "302 Found; redirects are not followed",
        ),
        (b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(), "answered 404"),
        (b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), "answered 204"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".to_vec(),
            "broke off",
        ),
        (huge("HTTP/1.1 200 OK\r\n\r\n"), "more than 512 KiB"),
        (
            huge(&format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                LARGEST_DOCUMENT + 1
            )),
            "more than 512 KiB",
        ),
        (b"rubbish".to_vec(), "no HTTP with 127.0.0.1"),
        (Vec::new(), "no HTTP with 127.0.0.1"),
    ] {
        let error = fetched(answer).await.unwrap_err();
        assert!(error.contains(problem), "{error}, not {problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let fetcher = Fetcher::new(None).unwrap();
    let error = fetcher.get(&Url::parse(&url).unwrap()).await.unwrap_err();
    assert!(matches!(error, FetchFailure::Timeout(_)), "{error}");
}

/// A TLS server for `name`, and a file with its own authority.
async fn over_tls(name: &str) -> (Url, tempfile::NamedTempFile) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not believe us hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            drop(stream.read(&mut request).await);
            drop(
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                    .await,
            );
            drop(stream.shutdown().await);
        }
    });
    let url = Url::parse(&format!("https://localhost:{port}/")).unwrap();
    (url, file)
}

#[tokio::test]
async fn tls_is_believed_only_of_a_known_authority_and_for_the_right_host() {
    let (url, file) = over_tls("localhost").await;
    let knowing = Fetcher::new(Some(file.path())).unwrap();
    assert_eq!(knowing.get(&url).await.unwrap(), "{}");
    let stranger = Fetcher::new(None).unwrap().get(&url).await.unwrap_err();
    assert!(matches!(stranger, FetchFailure::Tls { .. }), "{stranger}");
    let (url, file) = over_tls("login.example").await;
    let elsewhere = Fetcher::new(Some(file.path())).unwrap();
    let elsewhere = elsewhere.get(&url).await.unwrap_err();
    assert!(matches!(elsewhere, FetchFailure::Tls { .. }), "{elsewhere}");
}

#[test]
fn a_file_without_authorities_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Fetcher::new(Some(file.path())).unwrap_err().to_string();
    assert!(error.contains("no certificate"), "{error}");
    let absent = file.path().join("absent");
    let error = Fetcher::new(Some(&absent)).unwrap_err().to_string();
    assert!(error.contains("absent cannot be read"), "{error}");
}
