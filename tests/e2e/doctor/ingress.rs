//! Ingresses that speak plain text, or let strangers through to internal ports.

use super::diagnosis;
use axum::Router;
use axum::http::{StatusCode, Uri, header::LOCATION};
use axum::response::IntoResponse as _;
use e2e::desk::Desk;
use std::net::SocketAddr;

/// Starts an ingress in plain text; `internal` is what it answers at internal ports, `other` elsewhere.
async fn ingress(internal: StatusCode, other: StatusCode) -> SocketAddr {
    let answer = move |uri: Uri| async move {
        let path = uri.path().to_lowercase();
        let is_internal = path.contains(":666") || path.contains(":444") || path.contains("888");
        let status = if is_internal { internal } else { other };
        (status, [(LOCATION, "https://edge.example/")]).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_text_and_open_internal_ports_are_named() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("service")).unwrap();
    let doctor = |address: SocketAddr| {
        diagnosis(&desk.run(&[
            "doctor",
            "--json",
            "--directory",
            "service",
            "--only",
            "ingress-tls,ingress-ports",
            "--ingress",
            &format!("http://{address}"),
        ]))
    };
    let careless = doctor(ingress(StatusCode::OK, StatusCode::OK).await);
    careless.names("ingress-tls", "FAIL", "answers in plain text");
    careless.names(
        "ingress-ports",
        "FAIL",
        "/access.token.core:666/mint answers 200",
    );
    let careful = doctor(ingress(StatusCode::NOT_FOUND, StatusCode::MOVED_PERMANENTLY).await);
    careful.names("ingress-tls", "PASS", "redirects with 301");
    careful.names("ingress-ports", "PASS", "each 404, and http://");
    assert_eq!(careful.code, 0);
    // What is not there at all answers 404 as well.
    let empty = doctor(ingress(StatusCode::NOT_FOUND, StatusCode::NOT_FOUND).await);
    empty.names("ingress-ports", "UNKNOWN", "itself");
    let away = doctor(SocketAddr::from(([127, 0, 0, 1], 1)));
    away.names("ingress-tls", "UNKNOWN", "refused");
    assert_eq!(away.code, 5);
}
