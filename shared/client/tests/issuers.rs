//! Typed calls of both issuers over the in-process bus.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use microbus_bus::{
    Acknowledge, Connection, Connector, Delivery, Failures, Handler, Handling, Identity, Incoming,
    Outgoing, Reply, Route, Scope, SystemClock, Urgency, random_instance_id,
};
use microbus_client::{Budget, Issuers};
use microbus_token::{Claims, Issuer};
use microbus_wire::address::Address;
use microbus_wire::host::Hostname;
use microbus_wire::subject::{Method, Plane};
use std::sync::Arc;
use std::time::Duration;

async fn connector(connection: &Connection, host: &str) -> Arc<Connector> {
    let identity = Identity {
        plane: Plane::default(),
        hostname: Hostname::parse(host).unwrap(),
        version: 1,
        instance: random_instance_id(),
        locality: None,
    };
    Connector::open(
        connection.clone(),
        identity,
        Failures::Redacted,
        Arc::new(SystemClock),
    )
    .await
    .unwrap()
}

async fn serve(connector: &Connector, port: u16, path: &'static str, handler: impl Handler) {
    let route = Route {
        name: "Test",
        scope: Scope::Own,
        port,
        method: None,
        path,
        delivery: Delivery::One,
        urgency: Urgency::Sheddable,
        acknowledge: Acknowledge::AtOnce,
        handler: Arc::new(handler),
    };
    connector.subscribe(route).await.unwrap();
}

/// An issuer that answers with its budget in milliseconds and the body that it was sent, as if they were a token.
async fn echoing_issuer(connection: &Connection) -> Arc<Connector> {
    let issuer = connector(connection, "access.token.core").await;
    let echo = |request: Incoming| {
        let budget = request.given_budget().unwrap_or_default().as_millis();
        let body = std::str::from_utf8(request.body()).unwrap();
        let token = format!("{budget} {} {body}", request.call_depth());
        Handling::Done(Ok(Reply::json(
            serde_json::json!({ "token": token }).to_string(),
        )))
    };
    serve(&issuer, 666, "/mint", echo).await;
    issuer
}

#[tokio::test(start_paused = true)]
async fn a_call_carries_its_claims_and_its_budget() {
    let connection = Connection::in_process();
    let _issuer = echoing_issuer(&connection).await;
    let issuers = Issuers::new(connector(&connection, "caller.example").await);
    let mut claims = Claims::new();
    claims.insert("sub", "harry").unwrap();
    let budget = Budget::Of(Duration::from_secs(7));
    let token = issuers.mint(Issuer::Access, &claims, budget).await.unwrap();
    assert_eq!(token.as_str(), r#"7000 1 {"claims":{"sub":"harry"}}"#);
}

#[tokio::test(start_paused = true)]
async fn a_call_inside_a_request_gets_what_is_left_of_its_budget() {
    let connection = Connection::in_process();
    let _issuer = echoing_issuer(&connection).await;
    let middle = connector(&connection, "middle.example").await;
    let issuers = Issuers::new(Arc::clone(&middle));
    let handler = move |request: Incoming| {
        let issuers = issuers.clone();
        Handling::Later(Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let budget = Budget::Inbound(&request);
            let token = issuers
                .mint(Issuer::Access, &Claims::new(), budget)
                .await
                .unwrap();
            Ok(Reply::json(token.as_str().to_owned()))
        }))
    };
    serve(&middle, 443, "/work", handler).await;
    let caller = connector(&connection, "caller.example").await;
    let address = Address::parse("https://middle.example/work").unwrap();
    let outgoing = Outgoing::new(Method::Post, address).within(Duration::from_secs(9));
    let answer = caller.request(outgoing).await.unwrap();
    let text = std::str::from_utf8(&answer.body).unwrap();
    let words: Vec<&str> = text.split(' ').collect();
    let left: u64 = words[0].parse().unwrap();
    assert!((6_900..=7_000).contains(&left), "{left} ms");
    assert_eq!(words[1], "2", "the call is one deeper");
}

#[tokio::test(start_paused = true)]
async fn failures_say_who_and_what() {
    let connection = Connection::in_process();
    let issuers = Issuers::new(connector(&connection, "caller.example").await);
    let budget = Budget::Of(Duration::from_secs(1));
    let absent = issuers
        .mint(Issuer::Access, &Claims::new(), budget)
        .await
        .unwrap_err();
    assert_eq!(absent.status().code(), 404);
    assert_eq!(
        absent.to_string(),
        "access.token.core was asked and did not help: ack timeout: https://access.token.core:666/mint"
    );
    let bearer = connector(&connection, "bearer.token.core").await;
    for (path, port) in [("/mint", 666), ("/jwks", 888)] {
        let rubbish = |_: Incoming| Handling::Done(Ok(Reply::json(r#"{"keys":1,"token":""}"#)));
        serve(&bearer, port, path, rubbish).await;
    }
    let minted = issuers
        .mint(Issuer::Bearer, &Claims::new(), budget)
        .await
        .unwrap_err();
    assert_eq!(
        minted.to_string(),
        "bearer.token.core answered something else than a token"
    );
    assert_eq!(minted.status().code(), 502);
    let keys = issuers.jwk_set(Issuer::Bearer, budget).await.unwrap_err();
    assert_eq!(
        keys.to_string(),
        "bearer.token.core answered something else than a JWK Set"
    );
}
