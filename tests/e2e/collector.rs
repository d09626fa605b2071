//! Traces, log lines and metrics before a real OpenTelemetry Collector, by HTTP and by gRPC, in clear and over TLS: it needs Go 1.26.

use crate::artifacts::identity;
use e2e::child::Child;
use e2e::{Bus, PATIENCE, Product};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Builds the collector from the published modules of OpenTelemetry, at pinned versions.
fn build() -> std::path::PathBuf {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("collector");
    let built = Command::new("go")
        .args(["build", "-buildvcs=false", "-mod=readonly", "-o"])
        .arg(&binary)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("collector"))
        .env("GOFLAGS", "")
        .output()
        // Not found: Go is one of the things that `.ci/run` needs.
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    binary
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_real_collector_takes_all_signals_by_http_and_by_grpc_in_clear_and_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, client) = (identity(), identity());
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let certificate = file("server.crt", &authority.certificate);
    let tls = format!(
        "tls: {{cert_file: '{certificate}', key_file: '{}', client_ca_file: '{}'}}",
        file("server.key", &authority.key),
        file("clients.pem", &client.certificate)
    );
    let [http, grpc, https, grpcs] = [(); 4].map(|()| free_port());
    let config = format!(
        "receivers:\n\
         \x20 otlp: {{protocols: {{http: {{endpoint: '127.0.0.1:{http}'}}, grpc: {{endpoint: '127.0.0.1:{grpc}'}}}}}}\n\
         \x20 otlp/tls: {{protocols: {{http: {{endpoint: '127.0.0.1:{https}', {tls}}}, grpc: {{endpoint: '127.0.0.1:{grpcs}', {tls}}}}}}}\n\
         exporters: {{debug: {{verbosity: detailed}}}}\n\
         service:\n  telemetry: {{metrics: {{level: none}}}}\n  pipelines:\n\
         {}",
        ["traces", "metrics", "logs"]
            .map(|signal| format!(
                "    {signal}: {{receivers: [otlp, otlp/tls], exporters: [debug]}}\n"
            ))
            .concat()
    );
    std::fs::write(folder.path().join("config.yaml"), config).unwrap();
    let mut command = Command::new(build());
    command
        .current_dir(&folder)
        .args(["--config", "file:config.yaml"]);
    let collector = Child::start("collector", command);
    let mut log = collector.log();
    let ready = log.line("Everything is ready", PATIENCE).await;
    assert!(ready.is_some(), "{}", log.text());

    let bus = Bus::start().await;
    for (protocol, base) in [
        ("http/protobuf", format!("http://127.0.0.1:{http}")),
        ("grpc", format!("http://127.0.0.1:{grpc}")),
        ("http/protobuf", format!("https://127.0.0.1:{https}")),
        ("grpc", format!("https://127.0.0.1:{grpcs}")),
    ] {
        let position = log.position();
        let endpoint = |signal: &str| match protocol {
            "grpc" => base.clone(),
            _ => format!("{base}/v1/{signal}"),
        };
        let setup = bus
            .issuer(Product::ACCESS_TOKEN)
            .with_variable("MICROBUS_CONFIGURATION", "files")
            .with_variable("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .with_variable("OTEL_METRIC_EXPORT_INTERVAL", "500")
            .with_variable("OTEL_EXPORTER_OTLP_CERTIFICATE", &certificate)
            .with_variable("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client.crt")
            .with_variable("OTEL_EXPORTER_OTLP_CLIENT_KEY", "client.key")
            .with_file("client.crt", client.certificate.clone())
            .with_file("client.key", client.key.clone())
            .with_variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint("traces"))
            .with_variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &endpoint("metrics"))
            .with_variable("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &endpoint("logs"));
        let mut issuer = setup.start();
        issuer.until_logged("Serving").await;
        let caller = bus.caller("tester.client", "id-tester0000").await;
        let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
        let headers = [("Traceparent", parent.as_str())];
        let host = Product::ACCESS_TOKEN.host;
        caller.call("POST", host, 666, "/mint", &headers, b"").await;
        for part in [
            ": :666/mint",
            TRACE,
            "microbus.caller: Str(tester.client)",
            "service.name: Str(access.token.core)",
            "Body: Str(Serving)",
            "-> Name: microbus_token_minted",
        ] {
            let found = log
                .line_after(position, part, PATIENCE + Duration::from_secs(10))
                .await;
            assert!(found.is_some(), "{base}: no {part} in\n{}", log.text());
        }
        assert!(issuer.stop().await.success());
        assert!(!issuer.log().text().contains("Telemetry cannot be exported"));
    }
}
