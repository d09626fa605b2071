//! Subjects that the broker refuses to `billing.acme`, in the words of brokers, clients and loggers.

use crate::Case;
use crate::logins::World;
use microbus_deploy::{Permissions, Target};
use microbus_wire::{Hostname, Method, Plane};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = publishing();
    cases.extend(subscribing());
    cases
}

fn publishing() -> Vec<Case> {
    let publish = |what, subject: &str| {
        let line = format!("nats: Permissions Violation for Publish to \"{subject}\"");
        refused(what, line, &permissions())
    };
    let slot = permissions_of(&["microbus.safe.443.billing_acme.crm_acme._.POST.note"]);
    let line = |subject: &str| format!("Permissions Violation for Publish to \"{subject}\"");
    vec![
        publish("a request on another plane", "prod.safe.443.billing_acme.ledger_acme._.POST.entries"),
        publish("a request to an inbox", "_INBOX.abc.def"),
        publish("a request to JetStream", "$JS.API.INFO"),
        publish("a request as another host", "microbus.safe.888.crm_acme.ledger_acme._.GET.jwks"),
        publish("an answer as another host", "microbus.reply._.crm_acme.ledger_acme.id-abcdefghij"),
        publish("port 666 spelled safe", "microbus.safe.666.billing_acme.ledger_acme._.POST.mint"),
        publish("port 443 spelled danger", "microbus.danger.443.billing_acme.ledger_acme._.POST.mint"),
        publish("a call of a host that was not declared", "microbus.safe.443.billing_acme.crm_acme._.GET.people"),
        publish(
            "a Mint that was not granted",
            "microbus.danger.666.billing_acme.access_token_core._.POST.mint",
        ),
        publish("another port of a declared host", "microbus.safe.444.billing_acme.ledger_acme._.POST.entries"),
        publish("another method of a declared endpoint", "microbus.safe.443.billing_acme.ledger_acme._.DELETE.entries"),
        publish("another path of a declared host", "microbus.safe.443.billing_acme.ledger_acme._.POST.balances"),
        publish("a longer path than the declared one", "microbus.safe.443.billing_acme.ledger_acme._.POST.entries.7"),
        refused(
            "a pinned call where the grant fixes the slot",
            line("microbus.safe.443.billing_acme.crm_acme.id-abcdefghij.POST.note"),
            &slot,
        ),
        refused(
            "a call that these very credentials allow",
            line("microbus.safe.443.billing_acme.ledger_acme._.POST.entries"),
            &permissions(),
        ),
        Case::new("a request to an inbox, without credentials", line("_INBOX.abc.def")),
        World::new().denying("microbus.safe.443.billing_acme.ledger_acme.>").case(
            "a call on the deny list",
            &line("microbus.safe.443.billing_acme.ledger_acme._.POST.entries"),
        ),
        World::new().denying("x").case(
            "a refusal in the broker's own log",
            "[ERR] 127.0.0.1:5 - cid:7 - \"v1\" - Publish Violation - User \"U\", Subject \"other.safe.443.a.b._.GET.x\"",
        ),
    ]
}

fn subscribing() -> Vec<Case> {
    let subscribe = |what, subject: &str| {
        let line = format!(
            r#"{{"level":"ERROR","error":"Permissions Violation for Subscription to \"{subject}\""}}"#
        );
        refused(what, line, &permissions())
    };
    let queued = permissions_of(&["microbus.safe.443.billing_acme.crm_acme._.POST.note"]);
    let queued = Permissions::exactly(
        queued.publish().to_vec(),
        vec!["microbus.safe.*.*.billing_acme.> billing.acme".to_owned()],
    );
    vec![
        subscribe("a subscription to everything", ">"),
        subscribe("a subscription to the whole plane", "microbus.>"),
        subscribe("a subscription across planes", "*.safe.*.*.billing_acme.>"),
        subscribe("a subscription on another plane", "prod.safe.443.*.billing_acme._.POST.x"),
        subscribe("a subscription to inboxes", "_INBOX.>"),
        subscribe("a subscription for another host", "microbus.safe.443.*.ledger_acme._.POST.x"),
        subscribe("a subscription to the answers to another host", "microbus.reply._.*.ledger_acme.*"),
        subscribe("a subscription to the own port 666", "microbus.danger.666.*.billing_acme._.*.mint"),
        subscribe("a subscription to broadcasts on port 443", "microbus.safe.443.*.all._.POST.x"),
        refused(
            "a queue subscription to the own port 666",
            r#"Permissions Violation for Subscription to "microbus.danger.666.*.billing_acme._.*.mint" using queue "billing.acme""#.to_owned(),
            &permissions(),
        ),
        refused(
            "a subscription in another queue group than the granted one",
            r#"Permissions Violation for Subscription to "microbus.safe.443.*.billing_acme._.POST.x" using queue "spy""#.to_owned(),
            &queued.unwrap(),
        ),
    ]
}

fn refused(what: &'static str, line: String, permissions: &Permissions) -> Case {
    Case::new(what, line).with("--creds", World::new().credentials_with(permissions))
}

/// What `billing.acme` needs to book at `ledger.acme`.
pub(crate) fn permissions() -> Permissions {
    let (plane, host) = (Plane::default(), Hostname::parse("billing.acme").unwrap());
    let book = Target::resolve(Some("ledger.acme"), "/entries").unwrap();
    let standard = Permissions::of_service(&plane, &host);
    standard.with_call(&plane, &host, &book, Some(Method::Post))
}

/// The same with further subjects to publish to.
fn permissions_of(more: &[&str]) -> Permissions {
    let standard = permissions();
    let more = more.iter().map(|subject| (*subject).to_owned());
    let publish = standard.publish().iter().cloned().chain(more).collect();
    Permissions::exactly(publish, standard.subscribe().to_vec()).unwrap()
}

#[test]
fn the_first_segment_that_differs_from_the_nearest_grant_is_named() {
    let cases = cases();
    for (what, difference) in [
        (
            "a request on another plane",
            r#"segment 1, the plane: "prod" where the grant has "microbus""#,
        ),
        (
            "another port of a declared host",
            r#"segment 3, the port: "444" where the grant has "443""#,
        ),
        (
            "a request as another host",
            r#"segment 4, the source host: "crm_acme" where the grant has "billing_acme""#,
        ),
        (
            "another method of a declared endpoint",
            r#"segment 7, the method: "DELETE" where the grant has "POST""#,
        ),
        (
            "a longer path than the declared one",
            r#"segment 9, the path: "7" where the grant has nothing"#,
        ),
        (
            "a subscription for another host",
            r#"segment 5, the destination host: "ledger_acme" where the grant has "billing_acme""#,
        ),
    ] {
        let case = cases.iter().find(|case| case.what == what).unwrap();
        let (json, _) = case.json();
        let facts = json["facts"].as_array().unwrap();
        let found = facts.iter().find(|fact| fact["name"] == "first difference");
        assert_eq!(found.unwrap()["found"], difference, "{what}");
    }
}

#[test]
fn without_credentials_a_subject_of_the_bus_is_not_judged() {
    let line = r#"Permissions Violation for Publish to "p.safe.443.a.b._.GET.x""#;
    let (json, exit) = Case::new("", line).json();
    assert_eq!(
        (json["verdict"].as_str(), exit),
        (Some("unknown"), Some(5)),
        "{json}"
    );
}
