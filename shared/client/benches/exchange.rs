//! What an ingress does for a request with a bearer token whose access token can be used again.
#![expect(
    missing_docs,
    reason = "the macros of criterion make undocumented functions"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up must stop"
)]

#[expect(dead_code, reason = "the bench takes no ingress from the example")]
#[path = "../examples/ingress/app.rs"]
mod app;
#[path = "../examples/ingress/issuers.rs"]
mod issuers;

use criterion::{Criterion, criterion_group, criterion_main};
use microbus_bus::{Connection, SystemClock};
use microbus_client::{Budget, Exchange, ExchangeSettings, Issuers};
use microbus_token::{Claims, Issuer};
use std::sync::Arc;
use std::time::Duration;

fn exchange(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let connection = Connection::in_process();
    let (connector, _issuers) = runtime.block_on(async {
        let issuers = issuers::start(&connection).await.unwrap();
        (
            app::connector(&connection, "ingress.example")
                .await
                .unwrap(),
            issuers,
        )
    });
    let mut claims = Claims::new();
    claims.insert("sub", "harry").unwrap();
    let budget = Budget::Of(Duration::from_secs(20));
    let minting = Issuers::new(Arc::clone(&connector));
    let token = runtime
        .block_on(minting.mint(Issuer::Bearer, &claims, budget))
        .unwrap();
    for (name, reuse) in [
        ("each_mints", Duration::ZERO),
        ("warm", Duration::from_secs(5)),
    ] {
        let settings = ExchangeSettings {
            reuse,
            ..ExchangeSettings::default()
        };
        let exchange = Exchange::new(&connector, Arc::new(SystemClock), settings);
        c.bench_function(&format!("exchange_{name}"), |b| {
            b.iter(|| {
                let actor = runtime.block_on(exchange.actor(token.as_str())).unwrap();
                assert!(actor.is_some());
            });
        });
    }
}

criterion_group!(benches, exchange);
criterion_main!(benches);
