//! The table of who reaches a protected handler on the bus, row by row. Source: spec: verify 2.1.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[expect(dead_code, reason = "there is no ingress here")]
#[path = "../examples/ingress/app.rs"]
mod app;
#[path = "../examples/ingress/issuers.rs"]
mod issuers;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use microbus_bus::{Connection, Connector, Outgoing};
use microbus_client::{Budget, Issuers};
use microbus_token::{Claims, Issuer};
use microbus_wire::address::Address;
use microbus_wire::header::ACTOR;
use microbus_wire::subject::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Calls an endpoint of the guarded service with this actor; returns its answer, or status and text of its refusal.
async fn call(caller: &Arc<Connector>, path: &str, actor: &str) -> Result<Value, (u16, String)> {
    let address = Address::parse(&format!("https://hello.example/{path}")).unwrap();
    let mut outgoing = Outgoing::new(Method::Get, address);
    if !actor.is_empty() {
        outgoing = outgoing.header(ACTOR, actor);
    }
    match caller.request(outgoing).await {
        Ok(answer) => Ok(serde_json::from_slice(&answer.body).unwrap()),
        Err(error) => Err((error.status().code(), error.to_string())),
    }
}

async fn minted(caller: &Arc<Connector>, issuer: Issuer, claims: &str) -> String {
    let claims = Claims::from_json(claims.as_bytes()).unwrap();
    let budget = Budget::Of(Duration::from_secs(20));
    let issuers = Issuers::new(Arc::clone(caller));
    let token = issuers.mint(issuer, &claims, budget).await.unwrap();
    token.as_str().to_owned()
}

/// Changes the first character of the signature, which is no padding.
fn bent(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    format!("{signed}.{first}{}", &signature[1..])
}

#[tokio::test(start_paused = true)]
async fn each_actor_reaches_what_the_table_says() {
    let connection = Connection::in_process();
    let _issuers = issuers::start(&connection).await.unwrap();
    let caller = app::connector(&connection, "caller.example").await.unwrap();
    let reader = minted(
        &caller,
        Issuer::Access,
        r#"{"sub":"harry","roles":["reader"]}"#,
    )
    .await;
    let admin = minted(
        &caller,
        Issuer::Access,
        r#"{"sub":"minerva","roles":["admin"]}"#,
    )
    .await;
    let bearer = minted(
        &caller,
        Issuer::Bearer,
        r#"{"sub":"albus","roles":["admin"]}"#,
    )
    .await;
    let nobody = minted(&caller, Issuer::Access, "{}").await;
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let none = format!(
        "{none}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"roles":["admin"],"sub":"x"}"#)
    );
    let stranger = reader.replacen(
        &URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":""#),
        &URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"x"#),
        1,
    );
    let (open, refused, forbidden) = (200, 401, 403);
    for (what, actor, statuses) in [
        ("nothing", "", [open, refused, refused]),
        ("no JWT", "harry", [open, refused, refused]),
        (
            "a prefix",
            &format!("Bearer {admin}"),
            [open, refused, refused],
        ),
        (
            "two parts",
            reader.rsplit_once('.').unwrap().0,
            [open, refused, refused],
        ),
        (
            "a bent signature",
            &bent(&admin),
            [refused, refused, refused],
        ),
        ("no signature", &none, [refused, refused, refused]),
        (
            "a changed header",
            &bent(&stranger),
            [refused, refused, refused],
        ),
        (
            "claims that do not suffice for anything",
            &nobody,
            [open, forbidden, forbidden],
        ),
        (
            "claims that suffice for some",
            &reader,
            [open, open, forbidden],
        ),
        ("claims that suffice", &admin, [open, open, open]),
        ("a bearer token", &bearer, [open, open, open]),
    ] {
        // A service of its own each time: it has to ask for the keys first, and knows them the second time.
        let hello = app::start_hello(&connection).await.unwrap();
        for round in 0..2 {
            for (path, status) in ["open", "me", "admin"].into_iter().zip(statuses) {
                let answer = call(&caller, path, actor).await;
                let found = answer.as_ref().map_or_else(|(status, _)| *status, |_| 200);
                assert_eq!(found, status, "{what}, {path}, round {round}: {answer:?}");
                let text = match status {
                    401 => "unauthorized",
                    403 => "forbidden",
                    _ => continue,
                };
                assert_eq!(answer.unwrap_err().1, text, "no reason is told");
            }
        }
        hello.leave(|_| true).await;
    }
    let _hello = app::start_hello(&connection).await.unwrap();
    let me = call(&caller, "me", &reader).await.unwrap();
    assert_eq!(
        (&me["sub"], &me["roles"]),
        (&json!("harry"), &json!(["reader"]))
    );
    assert_eq!(call(&caller, "open", "").await.unwrap(), json!({}));
}
