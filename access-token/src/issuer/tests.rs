use super::*;
use microbus_bus::FakeClock;
use microbus_token::{ACTIVATION_DELAY, verify};
use microbus_wire::status::ErrorStatus;
use rand::SeedableRng as _;
use std::time::SystemTime;

const START: u64 = 1_800_000_000;

struct Fixture {
    issuer: Issuer,
    clock: Arc<FakeClock>,
}

fn started(config: Config, transformers: Vec<Box<dyn ClaimsTransformer>>) -> Fixture {
    let clock = Arc::new(FakeClock::at(
        SystemTime::UNIX_EPOCH + Duration::from_secs(START),
    ));
    let shared: Arc<dyn Clock> = Arc::<FakeClock>::clone(&clock);
    let issuer = Issuer::new(
        "id-own".to_owned(),
        config,
        transformers,
        StdRng::seed_from_u64(1),
        shared,
    );
    issuer.start(clock.now()).unwrap();
    issuer.activate_first(clock.now());
    Fixture { issuer, clock }
}

fn fixture() -> Fixture {
    started(Config::default(), Vec::new())
}

fn claims(json: &str) -> Claims {
    Claims::from_json(json.as_bytes()).unwrap()
}

impl Fixture {
    fn mint(&self, json: &str) -> String {
        self.issuer
            .draft(claims(json), None)
            .unwrap()
            .draft
            .sign()
            .unwrap()
            .into_string()
    }

    /// Verifies a token by the JWK Set that the issuer publishes now.
    fn verified(&self, token: &str) -> Claims {
        let keys = JwkSet::from_json(&self.issuer.jwk_set()).unwrap();
        verify(token, &keys, self.clock.wall())
            .unwrap()
            .into_claims()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.issuer.advance(self.clock.now()).unwrap();
    }

    fn kids(&self) -> Vec<String> {
        let keys = JwkSet::from_json(&self.issuer.jwk_set()).unwrap();
        keys.iter()
            .map(|jwk| jwk.id().as_str().to_owned())
            .collect()
    }
}

fn kid_of(token: &str) -> String {
    let header = jsonwebtoken::decode_header(token).unwrap();
    header.kid.unwrap()
}

#[test]
fn a_token_verifies_and_carries_the_forced_claims() {
    let fixture = fixture();
    let token = fixture
        .mint(r#"{"sub":"harry","iss":"https://idp.example","iat":1,"exp":2,"jti":"x","idp":"y"}"#);
    let claims = fixture.verified(&token);
    let now = i64::try_from(START).unwrap();
    assert_eq!(claims.get("iss"), Some("\"https://access.token.core\""));
    assert_eq!(claims.get("idp"), Some("\"https://idp.example\""));
    assert_eq!(claims.get("iat"), Some((now - 5).to_string().as_str()));
    assert_eq!(claims.get("exp"), Some((now + 25).to_string().as_str()));
    assert_eq!(claims.get_text("jti").unwrap().len(), 16);
    assert_eq!(claims.get("sub"), Some("\"harry\""));
}

#[test]
fn an_independent_library_verifies_the_token_by_the_published_set() {
    let fixture = fixture();
    let token = fixture.mint(r#"{"sub":"harry"}"#);
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&fixture.issuer.jwk_set()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find(&kid_of(&token)).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_issuer(&["https://access.token.core"]);
    let decoded = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).unwrap();
    assert_eq!(decoded.claims["sub"], "harry");
}

#[test]
fn transformers_run_between_saving_idp_and_forcing_the_critical_claims() {
    let transform = |claims: &mut Claims| {
        let json = r#""https://planted.example""#;
        for name in ["iss", "idp", "jti"] {
            claims.insert_json(name, json.as_bytes()).unwrap();
        }
        claims.insert("tenant", 7).unwrap();
        Ok(())
    };
    let fixture = started(Config::default(), vec![Box::new(transform)]);
    let claims = fixture.verified(&fixture.mint(r#"{"iss":"https://idp.example"}"#));
    assert_eq!(claims.get("idp"), Some("\"https://idp.example\""));
    assert_eq!(claims.get("iss"), Some("\"https://access.token.core\""));
    assert_eq!(claims.get("tenant"), Some("7"));
    assert!(!claims.get("jti").unwrap().contains("planted"));
}

#[test]
fn a_transformer_can_refuse() {
    let refuse = |_: &mut Claims| Err(Failure::new(ErrorStatus::FORBIDDEN, "not you"));
    let fixture = started(Config::default(), vec![Box::new(refuse)]);
    let error = fixture.issuer.draft(Claims::new(), None).unwrap_err();
    assert!(
        matches!(error, MintError::Transformer(failure) if failure.status == ErrorStatus::FORBIDDEN)
    );
}

#[test]
fn literal_claim_names_are_reported_or_refused() {
    let json = r#"{"level":1,"nested":{"5":0}}"#;
    assert_eq!(
        fixture()
            .issuer
            .draft(claims(json), None)
            .unwrap()
            .literal_names,
        ["5"]
    );
    let strict = Config {
        refuse_literal_claim_names: true,
        ..Config::default()
    };
    let error = started(strict, Vec::new())
        .issuer
        .draft(claims(json), None)
        .unwrap_err();
    assert!(matches!(error, MintError::LiteralName(name) if name == "5"));
}

#[test]
fn without_a_key_nothing_is_minted_and_the_set_is_empty() {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::at(SystemTime::UNIX_EPOCH));
    let issuer = Issuer::new(
        "id-own".to_owned(),
        Config::default(),
        Vec::new(),
        StdRng::seed_from_u64(1),
        clock,
    );
    assert!(matches!(
        issuer.draft(Claims::new(), None),
        Err(MintError::NoKey)
    ));
    assert_eq!(issuer.jwk_set(), "{}\n");
}

#[test]
fn no_key_comes_from_the_generator_in_memory() {
    let [one, other] = [fixture(), fixture()];
    let jti = |fixture: &Fixture| {
        fixture
            .verified(&fixture.mint("{}"))
            .get_text("jti")
            .unwrap()
            .into_owned()
    };
    assert_eq!(jti(&one), jti(&other), "both have the same generator");
    assert_ne!(one.kids(), other.kids());
    for fixture in [&one, &other] {
        fixture.issuer.rotate();
        fixture.advance(Duration::ZERO);
    }
    assert_ne!(one.kids().first(), other.kids().first());
}

#[test]
fn a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_are_dead() {
    let fixture = fixture();
    let old = fixture.mint("{}");
    fixture.advance(Config::default().key_rotation_interval);
    let kids = fixture.kids();
    assert_eq!(
        kids.len(),
        2,
        "the next key is published, first in the list"
    );
    assert_eq!(kids[1], kid_of(&old));
    assert_eq!(
        kid_of(&fixture.mint("{}")),
        kids[1],
        "and does not sign yet"
    );
    fixture.advance(ACTIVATION_DELAY);
    let longest = fixture
        .issuer
        .draft(Claims::new(), Some(Duration::from_secs(900)))
        .unwrap();
    assert_eq!(kid_of(longest.draft.sign().unwrap().as_str()), kids[0]);
    fixture.advance(Duration::from_secs(904));
    assert!(
        fixture.kids().contains(&kids[1]),
        "tokens of the old key may live"
    );
    fixture.advance(Duration::from_secs(120));
    assert_eq!(fixture.kids(), [kids[0].clone()]);
}

#[test]
fn rotation_on_command_goes_through_the_same_steps() {
    let fixture = fixture();
    let old = fixture.kids();
    fixture.issuer.rotate();
    fixture.advance(Duration::ZERO);
    assert_eq!(fixture.kids().len(), 2);
    assert_eq!(kid_of(&fixture.mint("{}")), old[0]);
    fixture.advance(ACTIVATION_DELAY);
    assert_eq!(kid_of(&fixture.mint("{}")), fixture.kids()[0]);
}

#[test]
fn a_key_that_is_not_made_when_it_is_due_is_overdue_since_then() {
    let fixture = fixture();
    let interval = Config::default().key_rotation_interval;
    let report = |after: Duration| {
        fixture.clock.advance(after);
        let keys = fixture.issuer.keys(fixture.clock.now());
        (keys.next_rotation.unwrap(), keys.overdue)
    };
    let minute = Duration::from_secs(60);
    assert_eq!(report(interval - minute), (minute, Duration::ZERO));
    assert_eq!(report(2 * minute), (Duration::ZERO, minute));
    fixture.advance(Duration::ZERO);
    fixture.advance(ACTIVATION_DELAY);
    assert_eq!(report(Duration::ZERO), (interval, Duration::ZERO));
    fixture.issuer.rotate();
    assert_eq!(report(minute), (Duration::ZERO, minute));
}

#[test]
fn a_wall_clock_that_steps_neither_rotates_nor_withdraws_a_key() {
    let fixture = fixture();
    let kids = fixture.kids();
    for wall in [
        SystemTime::UNIX_EPOCH,
        SystemTime::UNIX_EPOCH + Duration::from_secs(2 * START),
    ] {
        fixture.clock.step_wall(wall);
        fixture.advance(Duration::from_secs(1));
        assert_eq!(fixture.kids(), kids);
        fixture.mint("{}");
    }
}

#[test]
fn debug_shows_no_private_key() {
    let fixture = fixture();
    let kid = fixture.kids()[0].clone();
    let shown = format!("{:?}", fixture.issuer);
    assert!(shown.contains(&kid), "{shown}");
    assert!(shown.len() < 200, "more than the key ID is shown: {shown}");
}
