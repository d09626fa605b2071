//! The alarms and the dashboard before the real tools: promtool, and a Prometheus that scrapes a live issuer.
//!
//! Behind the feature `prometheus-tests`, because it needs `promtool` and `prometheus` in `PATH`.

use crate::metrics::{admin_address, metrics_until, value};
use e2e::child::Child;
use e2e::http::exchange;
use e2e::{Bus, PATIENCE, Product};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

fn observability() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability")
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(observability())
        .output()
        // Not found: apt-get install prometheus brings it.
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn promtool_accepts_the_alarms_and_each_fires_on_what_it_is_for() {
    promtool(&["check", "rules", "alerts.yaml"]);
    promtool(&["test", "rules", "alerts-test.yaml"]);
}

/// A Prometheus that scrapes one target each second and judges the alarms.
struct Prometheus {
    address: String,
    _folder: tempfile::TempDir,
    _child: Child,
}

impl Prometheus {
    async fn start(target: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}']\n\
             scrape_configs: [{{job_name: issuer, static_configs: [{{targets: ['{target}']}}]}}]\n",
            observability().join("alerts.yaml").display()
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        // It does not tell which port it chose.
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("prometheus");
        command
            .current_dir(folder.path())
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"));
        let child = Child::start("prometheus", command);
        let mut log = child.log();
        let ready = log.line("ready to receive web requests", PATIENCE).await;
        assert!(ready.is_some(), "{}", log.text());
        Self {
            address,
            _folder: folder,
            _child: child,
        }
    }

    /// Returns the result of a query; panics when it is refused.
    async fn query(&self, expression: &str) -> Vec<Value> {
        let encoded: String = expression
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let line = format!("GET /api/v1/query?query={encoded}");
        let answer = exchange(&self.address, &line, &[], "").await;
        let answer = answer.json();
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    async fn until(&self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.query(expression).await.is_empty() {
            assert!(Instant::now() < end, "nothing comes of {expression}");
            tokio::task::yield_now().await;
        }
    }
}

/// Returns the queries of the dashboard, for all planes and services.
fn queries() -> Vec<String> {
    let text = std::fs::read_to_string(observability().join("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().clone();
    panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .map(|target| {
            let expression = target["expr"].as_str().unwrap();
            expression.replace("$plane", ".*").replace("$service", ".*")
        })
        .collect()
}

#[tokio::test]
async fn the_queries_of_the_dashboard_show_a_live_issuer_and_a_refused_caller_trips_an_alarm() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_ADMIN", "0")
        .with_file(
            "config.yaml",
            "access.token.core:\n  Minters: tester.client\n",
        );
    let issuer = setup.start();
    let admin = admin_address(&issuer).await;
    issuer.until_logged("Serving").await;
    let prometheus = Prometheus::start(&admin).await;
    let minter = bus.caller("tester.client", "id-tester0000").await;
    let stranger = bus.caller("stranger.client", "id-tester0001").await;
    let host = Product::ACCESS_TOKEN.host;
    for caller in [&minter, &stranger] {
        caller.post(host, 666, "/mint", "{}").await;
    }
    prometheus
        .until("ALERTS{alertname='RefusedToMint', caller='stranger.client', alertstate='firing'}")
        .await;
    let queries = queries();
    assert!(queries.len() > 25, "{}", queries.len());
    for query in &queries {
        prometheus.until(query).await;
    }
    let text = metrics_until(&admin, |_| true).await;
    assert!(value(&text, "microbus_token_minted_total", &["tester.client"]) >= 1.0);
}
