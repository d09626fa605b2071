//! The page, in a browser: it needs `chromium` and `chromedriver` in `PATH`.
//!
//! Screenshots go to `tmp` in the build folder; the one in the README is `page.png` of there.

use crate::metrics::admin_address;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::child::Child;
use e2e::http::exchange;
use e2e::{Bus, Issuer, IssuerSetup, PATIENCE, Product};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A browser without a window, driven by the `WebDriver` protocol.
struct Browser {
    address: String,
    session: String,
    _driver: Child,
}

impl Browser {
    async fn start() -> Self {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0");
        let driver = Child::start("chromedriver", command);
        let mut log = driver.log();
        let line = log.line("started successfully on port", PATIENCE).await;
        let line = line.ok_or_else(|| log.text()).unwrap();
        let port = line.rsplit(' ').next().unwrap().trim_end_matches('.');
        let address = format!("127.0.0.1:{port}");
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            // Without the sandbox, because CI runs as root, where chromium has none.
            "goog:chromeOptions": {"args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            ]},
        }}});
        let created = send(&address, "POST /session", &capabilities).await;
        let session = created["sessionId"].as_str().unwrap().to_owned();
        Self {
            address,
            session,
            _driver: driver,
        }
    }

    async fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let line = format!("{method} /session/{}{path}", self.session);
        send(&self.address, &line, body).await
    }

    async fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url })).await;
    }

    /// Makes the page as large as a screen of this size, in this colour scheme.
    async fn show_on(&self, width: u32, height: u32, scheme: &str) {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        for (cmd, params) in [
            ("Emulation.setDeviceMetricsOverride", metrics),
            ("Emulation.setEmulatedMedia", media),
        ] {
            let body = json!({"cmd": cmd, "params": params});
            self.command("POST", "/goog/cdp/execute", &body).await;
        }
    }

    async fn evaluate(&self, expression: &str) -> Value {
        let body = json!({"script": format!("return {expression};"), "args": []});
        self.command("POST", "/execute/sync", &body).await
    }

    /// Waits until an expression is true.
    async fn until(&self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.evaluate(expression).await != json!(true) {
            let text = self.evaluate("document.body.innerText").await;
            assert!(Instant::now() < end, "not {expression}:\n{text}");
        }
    }

    async fn text(&self, id: &str) -> String {
        let text = self
            .evaluate(&format!("document.getElementById('{id}').textContent"))
            .await;
        text.as_str().unwrap().to_owned()
    }

    async fn screenshot(&self, name: &str) {
        let taken = self.command("GET", "/screenshot", &json!({})).await;
        let png = STANDARD.decode(taken.as_str().unwrap()).unwrap();
        std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), png).unwrap();
    }

    /// Fails when the page is wider than its screen.
    async fn assert_fits(&self) {
        let widths = "[document.documentElement.scrollWidth, innerWidth]";
        let widths = self.evaluate(widths).await;
        assert!(
            widths[0].as_u64().unwrap() <= widths[1].as_u64().unwrap(),
            "{widths}"
        );
    }

    /// Fails when the browser complained about anything, be it a blocked resource or an exception.
    async fn assert_silent(&self) {
        let log = self
            .command("POST", "/se/log", &json!({"type": "browser"}))
            .await;
        assert_eq!(log, json!([]));
    }

    async fn close(self) {
        self.command("DELETE", "", &json!({})).await;
    }
}

async fn send(address: &str, line: &str, body: &Value) -> Value {
    let json = ("Content-Type", "application/json");
    let answer = exchange(address, line, &[json], &body.to_string()).await;
    assert_eq!(answer.status, 200, "{line}: {answer:?}");
    answer.json()["value"].take()
}

async fn open_door() -> (Issuer, String) {
    let setup = IssuerSetup::new(Product::ACCESS_TOKEN).with_argument("--door=127.0.0.1:0");
    let issuer = setup.start();
    let line = issuer.until_logged("curl").await;
    let address = line.split("http://").nth(1).unwrap();
    let address = address.split("/mint").next().unwrap().to_owned();
    issuer.until_logged("Serving").await;
    (issuer, address)
}

#[tokio::test]
async fn the_doors_page_mints_a_token_and_shows_its_claims() {
    let (_issuer, address) = open_door().await;
    let browser = Browser::start().await;
    browser.show_on(1280, 970, "light").await;
    browser.open(&format!("http://{address}/")).await;
    browser
        .until("document.getElementById('verdict').textContent === 'ready'")
        .await;
    assert_eq!(browser.text("service").await, Product::ACCESS_TOKEN.host);
    browser.assert_fits().await;

    for _ in 0..3 {
        browser
            .evaluate("document.getElementById('submit').click()")
            .await;
    }
    browser
        .until("document.getElementById('callers').textContent.includes('access.token.core3')")
        .await;
    browser
        .until("!document.getElementById('parts').hidden")
        .await;
    let claims: Value = serde_json::from_str(&browser.text("token-claims").await).unwrap();
    assert_eq!(claims["sub"], "harry@hogwarts.example");
    assert_eq!(claims["roles"], json!(["student", "seeker"]));
    let header: Value = serde_json::from_str(&browser.text("token-header").await).unwrap();
    let token = browser.text("token").await;
    let keys = exchange(&address, "GET /jwks", &[], "").await;
    let keys = microbus_token::JwkSet::from_json(keys.body.as_bytes()).unwrap();
    microbus_token::verify(&token, &keys, std::time::SystemTime::now()).unwrap();
    assert!(
        browser
            .text("keys")
            .await
            .contains(header["kid"].as_str().unwrap())
    );
    browser.screenshot("page.png").await;

    let refused = "document.getElementById('claims').value = '{\"nbf\":'; document.getElementById('submit').click()";
    browser
        .command(
            "POST",
            "/execute/sync",
            &json!({"script": refused, "args": []}),
        )
        .await;
    browser
        .until("!document.getElementById('refusal').hidden")
        .await;
    assert!(browser.text("refusal").await.contains("no JSON"));
    browser.assert_silent().await;

    browser.show_on(390, 1900, "dark").await;
    browser.assert_fits().await;
    browser.screenshot("page-phone.png").await;
    browser.close().await;
}

#[tokio::test]
async fn the_admin_listeners_page_shows_callers_and_replicas_and_mints_nothing() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_ADMIN", "0")
        .with_file(
            "config.yaml",
            "access.token.core:\n  Minters: tester.client, http.ingress.core\n",
        );
    let (issuer, replica) = (setup.start(), setup.start());
    let admin = admin_address(&issuer).await;
    issuer.until_logged("Serving").await;
    replica.until_logged("Serving").await;
    for (name, count) in [
        ("http.ingress.core", 60),
        ("tester.client", 20),
        ("stranger.client", 2),
    ] {
        let caller = bus.caller(name, "id-tester0000").await;
        for _ in 0..count {
            caller
                .post(Product::ACCESS_TOKEN.host, 666, "/mint", "{}")
                .await;
        }
    }
    let browser = Browser::start().await;
    browser.show_on(1280, 680, "dark").await;
    browser.open(&format!("http://{admin}/")).await;
    browser
        .until("document.getElementById('verdict').textContent === 'ready'")
        .await;
    browser
        .until("document.getElementById('bus').textContent.includes('1')")
        .await;
    assert_eq!(
        browser
            .evaluate("document.getElementById('mint').hidden")
            .await,
        json!(true)
    );
    let callers = browser.text("callers").await;
    assert!(callers.contains("http.ingress.core"), "{callers}");
    browser.assert_fits().await;
    browser.assert_silent().await;
    browser.screenshot("page-admin.png").await;
    browser.close().await;
}
