//! A caller of the Go services gives up when it hears nothing for a tenth of a second: it never has reason to.

use e2e::goldens;
use e2e::{Bus, GoCaller, Message, Outcome, PATIENCE, Product, Verifier};
use std::time::Instant;

/// Calls one after the other.
const CALLS: usize = 300;
/// More calls at once than this are refused, which is another promise.
const MOST_AT_ONCE: usize = 16_384;

#[tokio::test]
async fn the_recorded_mint_of_a_go_caller_never_times_out_whether_or_not_others_are_waiting() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    for (product, name) in [
        (Product::ACCESS_TOKEN, "mint_access_unicast"),
        (Product::BEARER_TOKEN, "mint_bearer_unicast"),
    ] {
        let issuer = bus.issuer(product).start();
        issuer.until_logged("Serving").await;
        let recorded = goldens::case("local", name);
        let recorded = recorded.requests_to(product.host).next().unwrap();
        let judge = Judge {
            caller: GoCaller::new(bus.caller("tester.client", "id-gy6kkizpav").await),
            verifier: Verifier::unannounced(&bus, &bus.server, "one.verifier", 0).await,
            recorded,
        };
        for _ in 0..CALLS {
            judge.call(1).await;
        }
        let late = judge.until_acked().await;
        for _ in 0..5 {
            judge.call(late).await;
        }
    }
}

/// Makes calls, and judges what comes of them.
struct Judge<'a> {
    caller: GoCaller,
    verifier: Verifier,
    recorded: &'a Message,
}

impl Judge<'_> {
    /// Makes more and more calls at once, until some waits for so long that it is acked; returns how many these are.
    async fn until_acked(&self) -> usize {
        let mut count = 64;
        let end = Instant::now() + PATIENCE;
        while self.call(count).await == 0 {
            count = MOST_AT_ONCE.min(count * 2);
            assert!(Instant::now() < end, "nothing is ever acked");
        }
        count
    }

    /// Makes so many calls at once: each gets a token that verifies. Returns how many were acked before.
    async fn call(&self, count: usize) -> usize {
        let mut acks = 0;
        for (place, outcome) in self
            .caller
            .call(self.recorded, count)
            .await
            .iter()
            .enumerate()
        {
            let Outcome::Answered { answer, acked } = outcome else {
                panic!("call {place} of {count} at once: {outcome:?}");
            };
            assert_eq!(answer.status(), 200, "{answer:?}");
            let answer = answer.json();
            let token = answer["token"].as_str().unwrap();
            assert_eq!(self.verifier.judge(token).await, Ok(()), "{token}");
            acks += usize::from(*acked);
        }
        acks
    }
}
