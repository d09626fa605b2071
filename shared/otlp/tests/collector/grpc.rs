//! A collector that speaks gRPC over HTTP/2.

use crate::{PATIENCE, listen, names, outcome, span, start, until};
use microbus_otlp::Spans;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::io::{AsyncRead, AsyncWrite};

/// Path and message of a call.
type Call = (String, Vec<u8>);

/// Serves gRPC as a collector does, and tells of each call.
fn collector(status: &'static str) -> (String, Receiver<Call>) {
    let (called, calls) = channel();
    let address = listen(async move |stream| serve(stream, status, &called).await);
    (address.to_string(), calls)
}

/// Answers the calls of one connection until it ends.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    status: &'static str,
    called: &Sender<Call>,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (head, mut body) = request.into_parts();
        assert_eq!(head.headers["content-type"], "application/grpc");
        assert_eq!(head.headers["te"], "trailers");
        let called = called.clone();
        // The body arrives while the connection is looked after.
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            while let Some(Ok(part)) = body.data().await {
                bytes.extend_from_slice(&part);
            }
            drop(called.send((head.uri.path().to_owned(), bytes)));
            let answer = http::Response::builder().header("content-type", "application/grpc");
            let mut stream = respond
                .send_response(answer.body(()).unwrap(), false)
                .unwrap();
            stream.send_data(vec![0; 5].into(), false).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        });
    }
}

#[test]
fn grpc_is_spoken_where_it_is_asked_for() {
    for (status, fails) in [("0", false), ("14", true)] {
        let (address, calls) = collector(status);
        let exporter = start(
            &[
                (
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                    &format!("http://{address}"),
                ),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ],
            Spans::All,
        );
        exporter.span(span(1, ":666/mint"));
        let (path, body) = calls.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            path,
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        );
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
        assert_eq!((body[0], length as usize), (0, body.len() - 5));
        assert_eq!(names(&body[5..]), [":666/mint"]);
        until(&exporter, |outcome| outcome.exported + outcome.dropped == 1);
        assert_eq!(outcome(&exporter).failing, fails);
    }
}
