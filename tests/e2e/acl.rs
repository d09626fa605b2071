//! The broker itself enforces what `creds` wrote: each credential reaches all that it grants, and nothing else.
//!
//! For each of the 35 services whose permissions were recorded, with at least 200 refusals each (design: T15).

use e2e::{Caller, Desk, Listener, NatsServer, PATIENCE};
use microbus_deploy::permissions::covers;
use microbus_deploy::{Credentials, Jwt, Nkey, NkeyKind, Permissions, Presets, Signer};
use std::time::SystemTime;

const INSTANCE: &str = "id-tester0000";
/// What one credential allows, and a connection with it.
struct Holder {
    host: String,
    publish: Vec<String>,
    subscribe: Vec<String>,
    caller: Caller,
}

#[tokio::test]
async fn every_credential_reaches_what_it_grants_and_nothing_else() {
    let desk = Desk::new();
    desk.type_line("init ops --listen 127.0.0.1:0").succeeded();
    let cores: Vec<_> = Presets::built_in().unwrap().hosts().collect();
    let examples = write_examples(&desk);
    let signer = "--signing-key ops/account-sk.nk --account-jwt ops/account.jwt";
    let (cores, examples) = (cores.join(","), examples.join(","));
    desk.type_line(&format!(
        "creds {signer} --service {cores} --manifests {examples}"
    ))
    .succeeded();
    let server = NatsServer::from_file(&desk.path("ops/nats-server.conf")).await;
    let mut tap = tap(&desk, &server).await;

    let mut holders = 0;
    for entry in std::fs::read_dir(desk.path("creds")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let holder = Holder::connect(&desk.read(&format!("creds/{name}")), &server).await;
        holder.publishes_what_is_granted(&mut tap).await;
        holder.hears_what_is_granted().await;
        let refused = holder.is_refused_the_rest().await;
        assert!(refused >= 200, "only {refused} probes for {}", holder.host);
        holders += 1;
    }
    assert_eq!(holders, 35);
}

impl Holder {
    async fn connect(credentials: &str, server: &NatsServer) -> Self {
        let jwt = Jwt::read(Credentials::parse(credentials).unwrap().jwt()).unwrap();
        let url = server.url();
        let caller = Caller::connect(&url, Some(credentials), "microbus", &jwt.name, INSTANCE);
        let owned = |list| {
            jwt.strings(&[list, "allow"])
                .into_iter()
                .map(str::to_owned)
                .collect()
        };
        Self {
            publish: owned("pub"),
            subscribe: owned("sub"),
            caller: caller.await.unwrap(),
            host: jwt.name,
        }
    }

    async fn publishes_what_is_granted(&self, tap: &mut Listener) {
        for pattern in &self.publish {
            let subject = example(pattern);
            self.caller.publish(&subject, "x").await;
            let heard = tap.next(PATIENCE).await;
            assert_eq!(
                heard.map(|heard| heard.subject),
                Some(subject),
                "{}",
                self.host
            );
        }
    }

    /// A refusal of one of these is found by [`Self::is_refused_the_rest`], which expects others.
    async fn hears_what_is_granted(&self) {
        for pattern in &self.subscribe {
            drop(self.caller.listen(pattern).await);
            drop(self.caller.listen(&example(pattern)).await);
        }
    }

    /// Tries what no list grants, expects a refusal of each by the server, and returns how many there were.
    async fn is_refused_the_rest(&self) -> usize {
        let own = self.host.replace('.', "_");
        let mut refused = 0;
        for subject in foreign_subjects(&own) {
            if !self.publish.iter().any(|granted| covers(granted, &subject)) {
                self.caller.publish(&subject, "x").await;
                self.expect_refusal(&format!("Publish to \"{subject}\""))
                    .await;
                refused += 1;
            }
        }
        for pattern in foreign_patterns(&self.subscribe) {
            if !self
                .subscribe
                .iter()
                .any(|granted| covers(granted, &pattern))
            {
                drop(self.caller.listen(&pattern).await);
                self.expect_refusal(&format!("Subscription to \"{pattern}\""))
                    .await;
                refused += 1;
            }
        }
        refused
    }

    /// Waits for the refusal of `what`, and takes no other for it.
    async fn expect_refusal(&self, what: &str) {
        let said = self.caller.violation().await;
        let expected = format!("Permissions Violation for {what}");
        assert!(
            said.contains(&expected),
            "{}: {said}, not {expected}",
            self.host
        );
    }
}

/// Writes manifest and calls of each example service into a directory of its own, and returns the directories.
fn write_examples(desk: &Desk) -> Vec<String> {
    let examples = include_str!("../../deploy/testdata/services.yaml");
    let examples: Vec<serde_json::Value> = serde_yaml::from_str(examples).unwrap();
    let mut directories = Vec::new();
    for example in examples {
        let host = example["manifest"]["general"]["hostname"].as_str().unwrap();
        std::fs::create_dir(desk.path(host)).unwrap();
        // JSON is YAML.
        for part in ["manifest", "calls"] {
            desk.write(&format!("{host}/{part}.yaml"), example[part].to_string());
        }
        directories.push(host.to_owned());
    }
    directories
}

/// Connects somebody who hears everything, as no service does.
async fn tap(desk: &Desk, server: &NatsServer) -> Listener {
    let permissions = Permissions::exactly(
        vec!["microbus.reply._.tap.>".to_owned()],
        vec!["microbus.>".to_owned()],
    );
    let key = |kind, seed: &str| Nkey::from_seed(kind, seed).unwrap();
    let signer = key(NkeyKind::Account, &desk.read("ops/account.nk"));
    let user = Nkey::from_random(NkeyKind::User, [7; 32]).unwrap();
    let credentials = Signer::identity(&signer)
        .unwrap()
        .issue("tap", &user, &permissions.unwrap(), None, SystemTime::now())
        .unwrap();
    let text = credentials.to_text();
    Caller::connect(&server.url(), Some(&text), "microbus", "tap", INSTANCE)
        .await
        .unwrap()
        .listen("microbus.>")
        .await
}

/// Returns a subject that falls under `pattern`.
fn example(pattern: &str) -> String {
    let segments = pattern.split('.').map(|segment| match segment {
        "*" => "some-1",
        ">" => "some-2.some-3",
        plain => plain,
    });
    segments.collect::<Vec<_>>().join(".")
}

/// Returns requests and replies of this service and of others, on this plane and on another.
fn foreign_subjects(own: &str) -> Vec<String> {
    let mut subjects: Vec<_> = [
        "_INBOX.abc.1",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.USER.INFO",
        "$JS.API.INFO",
        "microbus",
        "microbus.reply._.stranger_acme.tester_acme.id-1",
        "microbus.reply._",
        "other.reply._.stranger_acme.tester_acme.id-1",
    ]
    .map(str::to_owned)
    .into();
    subjects.push(format!("other.reply._.{own}.tester_acme.id-1"));
    for plane in ["microbus", "other", "MICROBUS"] {
        for source in [
            own,
            "stranger_acme",
            "access_token_core",
            "http_ingress_core",
            "_",
        ] {
            for callee in [
                "access_token_core",
                "bearer_token_core",
                "billing_acme",
                "all",
            ] {
                for (trust, port) in [
                    ("safe", "443"),
                    ("safe", "888"),
                    ("safe", "666"),
                    ("danger", "666"),
                    ("danger", "443"),
                ] {
                    subjects.push(format!(
                        "{plane}.{trust}.{port}.{source}.{callee}._.POST.mint"
                    ));
                }
            }
        }
    }
    subjects
}

/// Returns patterns of other services, wildcards beyond the own ones, and what belongs to the server.
fn foreign_patterns(granted: &[String]) -> Vec<String> {
    let mut patterns: Vec<_> = [
        ">",
        "*.>",
        "microbus.>",
        "microbus.safe.>",
        "microbus.danger.>",
        "microbus.danger.666.>",
        "microbus.safe.443.*.stranger_acme.>",
        "microbus.danger.666.*.stranger_acme._.*.mint",
        "microbus.reply.>",
        "microbus.reply._.*.stranger_acme.*",
        "_INBOX.>",
        "$SYS.>",
        "$JS.>",
    ]
    .map(str::to_owned)
    .into();
    for pattern in granted {
        patterns.push(pattern.replacen("microbus.", "*.", 1));
        patterns.push(pattern.replacen("microbus.", "other.", 1));
        patterns.push(pattern.replacen(".safe.", ".*.", 1));
    }
    patterns
}
