use super::*;
use microbus_bus::FakeClock;
use microbus_token::{Secret, verify};
use rand::SeedableRng as _;
use std::time::Duration;

const START: u64 = 1_800_000_000;
const FIRST: &str = "NHUPmL1Z_Pw";
const SECOND: &str = "ajgD1fBZkCo";

struct Fixture {
    issuer: Issuer,
    clock: Arc<FakeClock>,
}

fn fixture() -> Fixture {
    let clock = Arc::new(FakeClock::at(
        SystemTime::UNIX_EPOCH + Duration::from_secs(START),
    ));
    let shared: Arc<dyn Clock> = Arc::<FakeClock>::clone(&clock);
    let issuer = Issuer::new(Config::default(), StdRng::seed_from_u64(1), shared);
    Fixture { issuer, clock }
}

fn key(seed: u8) -> Option<Arc<SigningKey>> {
    let key = SigningKey::from_seed(&Secret::new(vec![seed; 32])).unwrap();
    Some(Arc::new(key))
}

fn with_keys(primary: u8) -> Fixture {
    let fixture = fixture();
    fixture.replace(key(primary), None);
    fixture
}

impl Fixture {
    fn replace(&self, primary: Option<Arc<SigningKey>>, alternate: Option<Arc<SigningKey>>) {
        self.issuer
            .replace(Desired { primary, alternate }, self.clock.now());
    }

    fn mint(&self, json: &str) -> String {
        let claims = Claims::from_json(json.as_bytes()).unwrap();
        self.issuer
            .draft(claims)
            .unwrap()
            .sign()
            .unwrap()
            .into_string()
    }

    fn signer(&self) -> String {
        jsonwebtoken::decode_header(self.mint("{}"))
            .unwrap()
            .kid
            .unwrap()
    }

    fn published(&self) -> Vec<String> {
        let keys = JwkSet::from_json(&self.issuer.jwk_set()).unwrap();
        keys.iter().map(|jwk| jwk.id().to_string()).collect()
    }
}

#[test]
fn a_token_carries_the_forced_claims_and_no_idp_is_added() {
    let fixture = with_keys(1);
    let token =
        fixture.mint(r#"{"sub":"harry","iss":"https://idp.example","iat":1,"exp":2,"jti":"x"}"#);
    let keys = JwkSet::from_json(&fixture.issuer.jwk_set()).unwrap();
    let verified = verify(&token, &keys, fixture.clock.wall()).unwrap();
    let claims = verified.claims();
    let now = i64::try_from(START).unwrap();
    assert_eq!(claims.get("iss"), Some("\"https://bearer.token.core\""));
    assert_eq!(claims.get("iat"), Some((now - 300).to_string().as_str()));
    let end = (now + 720 * 3600 + 300).to_string();
    assert_eq!(claims.get("exp"), Some(end.as_str()));
    assert_eq!(claims.get_text("jti").unwrap().len(), 24);
    assert_eq!(claims.get("sub"), Some("\"harry\""));
    assert_eq!(claims.get("idp"), None);
    let kept = fixture.mint(r#"{"idp":"https://idp.example"}"#);
    let verified = verify(&kept, &keys, fixture.clock.wall()).unwrap();
    assert_eq!(
        verified.claims().get("idp"),
        Some("\"https://idp.example\"")
    );
}

#[test]
fn the_lifetime_in_force_counts_for_tokens_to_come() {
    let fixture = with_keys(1);
    let config = Config {
        token_lifetime: Duration::from_secs(60),
        ..Config::default()
    };
    let desired = Desired {
        primary: key(1),
        alternate: None,
    };
    fixture
        .issuer
        .configure(config, desired, fixture.clock.now());
    let keys = JwkSet::from_json(&fixture.issuer.jwk_set()).unwrap();
    let verified = verify(&fixture.mint("{}"), &keys, fixture.clock.wall()).unwrap();
    let end = (START + 60 + 300).to_string();
    assert_eq!(verified.claims().get("exp"), Some(end.as_str()));
}

#[test]
fn an_independent_library_verifies_the_token_by_the_published_set() {
    let fixture = with_keys(1);
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&fixture.issuer.jwk_set()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(set.find(FIRST).unwrap()).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_issuer(&["https://bearer.token.core"]);
    let token = fixture.mint(r#"{"sub":"harry"}"#);
    let decoded = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).unwrap();
    assert_eq!(decoded.claims["sub"], "harry");
}

#[test]
fn without_a_key_nothing_is_minted_and_the_set_is_empty() {
    let fixture = fixture();
    let error = fixture.issuer.draft(Claims::new()).unwrap_err();
    assert_eq!(error.to_string(), "no signing key configured");
    assert_eq!(fixture.issuer.jwk_set(), "{}\n");
    fixture.replace(None, key(2));
    assert!(fixture.issuer.draft(Claims::new()).is_err());
    assert_eq!(fixture.published(), [SECOND]);
}

#[test]
fn the_published_set_is_the_recorded_one() {
    let fixture = fixture();
    fixture.replace(key(1), key(2));
    let set = String::from_utf8(fixture.issuer.jwk_set().to_vec()).unwrap();
    let first = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w","kid":"NHUPmL1Z_Pw","use":"sig","alg":"EdDSA"},"#;
    assert!(set.starts_with(first) && set.ends_with("]}\n"), "{set}");
    assert_eq!(fixture.published(), [FIRST, SECOND]);
}

#[test]
fn a_rotation_is_seen_in_the_tokens_after_the_delay_even_if_no_timer_fires() {
    let fixture = with_keys(1);
    fixture.replace(key(2), key(1));
    assert_eq!(fixture.published(), [SECOND, FIRST]);
    assert_eq!(fixture.signer(), FIRST);
    fixture.clock.advance(Duration::from_millis(9_999));
    assert_eq!(fixture.signer(), FIRST);
    fixture.clock.advance(Duration::from_millis(1));
    assert_eq!(fixture.signer(), SECOND);
}

#[test]
fn sisters_are_told_which_key_signs_from_when_tokens_are_given_out() {
    let fixture = with_keys(1);
    let told = || Word::parse(&fixture.issuer.own_jwk_set()).unwrap();
    let signs = || told().signs.map(|id| id.to_string());
    assert_eq!(signs(), None);
    fixture.issuer.begin();
    assert_eq!(signs().as_deref(), Some(FIRST));
    fixture.replace(key(2), key(1));
    assert_eq!((told().keys.len(), signs().as_deref()), (2, Some(FIRST)));
    fixture.clock.advance(Config::default().activation_delay);
    fixture.issuer.advance(fixture.clock.now());
    assert_eq!(signs().as_deref(), Some(SECOND));
    fixture.replace(None, None);
    assert_eq!((told().keys.len(), signs()), (0, None));
}

#[test]
fn advancing_says_when_the_new_key_signs() {
    let fixture = with_keys(1);
    assert_eq!(fixture.issuer.advance(fixture.clock.now()), None);
    fixture.replace(key(2), key(1));
    let due = fixture.clock.now() + Config::default().activation_delay;
    assert_eq!(fixture.issuer.advance(fixture.clock.now()), Some(due));
    assert_eq!(fixture.issuer.advance(due), None);
    assert_eq!(fixture.signer(), SECOND);
}

#[test]
fn a_wall_clock_that_steps_moves_no_key() {
    let fixture = with_keys(1);
    fixture.replace(key(2), key(1));
    for wall in [0, 2 * START] {
        fixture
            .clock
            .step_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(wall));
        assert_eq!(fixture.signer(), FIRST);
    }
}

#[test]
fn an_ephemeral_key_is_made_once_and_gives_way_for_good() {
    let fixture = fixture();
    let now = fixture.clock.now();
    fixture.issuer.start_with_ephemeral_key(now).unwrap();
    let ephemeral = fixture.signer();
    fixture.issuer.start_with_ephemeral_key(now).unwrap();
    fixture.replace(None, key(2));
    assert_eq!(fixture.signer(), ephemeral);
    assert_eq!(fixture.published(), [ephemeral, SECOND.to_owned()]);
    fixture.replace(key(1), None);
    assert_eq!(
        (fixture.signer(), fixture.published()),
        (FIRST.into(), vec![FIRST.into()])
    );
    fixture.replace(None, None);
    assert!(fixture.issuer.draft(Claims::new()).is_err());
}

#[test]
fn an_ephemeral_key_does_not_come_from_the_generator_in_memory() {
    let signers = [fixture(), fixture()].map(|fixture| {
        let now = fixture.clock.now();
        fixture.issuer.start_with_ephemeral_key(now).unwrap();
        fixture.signer()
    });
    assert_ne!(signers[0], signers[1], "both have the same generator");
}

#[test]
fn a_key_of_the_operator_makes_an_ephemeral_one_needless() {
    let fixture = with_keys(1);
    fixture
        .issuer
        .start_with_ephemeral_key(fixture.clock.now())
        .unwrap();
    assert_eq!(fixture.signer(), FIRST);
}

#[test]
fn a_lifetime_without_end_ends_no_process() {
    let fixture = fixture();
    let config = Config {
        token_lifetime: Duration::MAX,
        ..Config::default()
    };
    let desired = Desired {
        primary: key(1),
        alternate: None,
    };
    fixture
        .issuer
        .configure(config, desired, fixture.clock.now());
    fixture.mint("{}");
    fixture.replace(None, None);
}

#[test]
fn debug_shows_no_private_key() {
    let fixture = with_keys(1);
    let shown = format!("{:?}", fixture.issuer);
    assert!(shown.contains(FIRST), "{shown}");
    assert!(shown.len() < 100, "more than the key ID is shown: {shown}");
}
