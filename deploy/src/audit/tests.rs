use super::*;
use crate::nkey::{Nkey, NkeyKind};
use crate::permissions::Permissions;
use crate::signer::Signer;
use microbus_wire::{Hostname, Plane};
use std::time::{Duration, UNIX_EPOCH};

const NOW: i64 = 1_800_000_000;

/// A file that is right in every respect but for what a test changes.
struct Sample {
    host: &'static str,
    file: Option<&'static str>,
    mode: u32,
    user: u8,
    lives: Option<u64>,
    publish: Vec<&'static str>,
    subscribe: Vec<&'static str>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            host: "a.example",
            file: None,
            mode: 0o100_600,
            user: 2,
            lives: Some(30 * 86_400),
            publish: Vec::new(),
            subscribe: Vec::new(),
        }
    }
}

impl Sample {
    fn deployed(&self) -> Deployed {
        let account = Nkey::from_random(NkeyKind::Account, [1; 32]).unwrap();
        let user = Nkey::from_random(NkeyKind::User, [self.user; 32]).unwrap();
        let host = Hostname::parse(self.host).unwrap();
        let mut permissions = Permissions::of_service(&Plane::parse("p").unwrap(), &host);
        for pattern in &self.publish {
            permissions = permissions.with_publish((*pattern).to_owned());
        }
        for pattern in &self.subscribe {
            permissions = permissions.with_subscribe((*pattern).to_owned());
        }
        let issued = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs() - 60);
        let expires = self
            .lives
            .map(|seconds| issued + Duration::from_secs(60 + seconds));
        let signer = Signer::identity(&account)
            .unwrap()
            .with_max_control_line(65_536);
        let issued = signer.issue(self.host, &user, &permissions, expires, issued);
        let named = format!("creds/{}_nats.creds", self.host);
        Deployed {
            path: self.file.map_or(named, |file| format!("creds/{file}")),
            mode: self.mode,
            credentials: Ok(issued.unwrap()),
        }
    }
}

fn findings(files: &[Deployed], minters: &str) -> Vec<(Code, bool)> {
    let report = audit(files, &Minters::parse(minters).unwrap(), NOW);
    let findings = report.files.iter().flat_map(|row| &row.findings);
    findings
        .map(|finding| (finding.code, finding.expected))
        .collect()
}

fn codes(sample: &Sample) -> Vec<Code> {
    let found = findings(&[sample.deployed()], "");
    found.into_iter().map(|(code, _)| code).collect()
}

#[test]
fn a_careful_credential_has_no_findings() {
    let sample = Sample {
        publish: vec!["p.safe.443.a_example.b_example.*.GET.x"],
        subscribe: vec![
            "p.danger.666.*.a_example.>",
            "p.safe.417.*.b_example.*.POST.on-x",
        ],
        ..Sample::default()
    };
    assert_eq!(codes(&sample), []);
}

#[test]
fn every_grant_that_mints_is_found() {
    for (pattern, expected) in [
        (
            "p.danger.666.a_example.access_token_core.*.*.mint",
            &[Code::MintAccess][..],
        ),
        (
            "p.danger.666.a_example.bearer_token_core.*.POST.mint",
            &[Code::MintBearer],
        ),
        (
            "p.danger.666.a_example.*.*.*.mint",
            &[Code::MintAccess, Code::MintBearer, Code::MintAny],
        ),
        (
            "p.danger.666.a_example.>",
            &[Code::MintAccess, Code::MintBearer, Code::MintAny],
        ),
        ("p.danger.666.a_example.access_token_core.*.GET.jwks", &[]),
        ("p.safe.*.a_example.*.*.*.>", &[]),
    ] {
        let sample = Sample {
            publish: vec![pattern],
            ..Sample::default()
        };
        assert_eq!(codes(&sample), expected, "{pattern}");
    }
}

#[test]
fn expected_minters_are_notes() {
    let sample = Sample {
        host: "foreman.core",
        publish: vec!["p.danger.666.foreman_core.*.*.*.mint"],
        ..Sample::default()
    };
    let all = [Code::MintAccess, Code::MintBearer, Code::MintAny];
    for (minters, expected) in [
        ("foreman.core *", [true, true, true]),
        ("foreman.core access.token.core", [true, false, false]),
        ("http.ingress.core *", [false, false, false]),
    ] {
        let found = findings(&[sample.deployed()], minters);
        assert_eq!(
            found,
            all.into_iter().zip(expected).collect::<Vec<_>>(),
            "{minters}"
        );
    }
    let report = audit(
        &[sample.deployed()],
        &Minters::parse("foreman.core *").unwrap(),
        NOW,
    );
    assert_eq!(report.unexpected(), 0);
    let minters = &report.minters["foreman.core"];
    let both = ["access.token.core", "bearer.token.core"].map(str::to_owned);
    assert_eq!(minters, &both.into());
}

#[test]
fn each_grant_beyond_the_own_place_is_found() {
    for (publish, subscribe, expected) in [
        (
            "p.safe.443.b_example.c.*.GET.x",
            "",
            &[Code::ForeignSrc][..],
        ),
        ("p.safe.443.*.c.*.GET.x", "", &[Code::ForeignSrc]),
        (
            "p.reply._.b_example.>",
            "",
            &[Code::NameMismatch, Code::ForeignSrc],
        ),
        ("q.safe.888.a_example.>", "", &[Code::MixedPlanes]),
        ("*.safe.888.a_example.>", "", &[Code::PlaneWildcard]),
        ("$SYS.REQ.>", "", &[Code::OutsideBus]),
        ("", "_INBOX.>", &[Code::OutsideBus]),
        ("", "p.danger.666.*.b_example.>", &[Code::SubOtherDanger]),
        ("", "p.reply._.*.b_example.*", &[Code::SubReplyOther]),
        ("p.safe.>", "", &[Code::Shared, Code::ForeignSrc]),
        ("", "p.safe.>", &[Code::Shared]),
        (
            "",
            "p.>",
            &[Code::Shared, Code::SubReplyOther, Code::SubOtherDanger],
        ),
        (
            "p.>",
            "",
            &[
                Code::Shared,
                Code::ForeignSrc,
                Code::MintAccess,
                Code::MintBearer,
                Code::MintAny,
            ],
        ),
    ] {
        let some = |pattern| Some(pattern).filter(|pattern: &&str| !pattern.is_empty());
        let sample = Sample {
            publish: some(publish).into_iter().collect(),
            subscribe: some(subscribe).into_iter().collect(),
            ..Sample::default()
        };
        assert_eq!(codes(&sample), expected, "{publish} {subscribe}");
    }
}

#[test]
fn times_are_judged_by_the_clock() {
    for (lives, expected) in [
        (None, &[Code::NoExp][..]),
        (Some(0), &[Code::Expired]),
        (Some(1), &[Code::ExpiresSoon]),
        (Some(72 * 3600 - 1), &[Code::ExpiresSoon]),
        (Some(72 * 3600), &[]),
    ] {
        let sample = Sample {
            lives,
            ..Sample::default()
        };
        assert_eq!(codes(&sample), expected, "{lives:?}");
    }
    let endless = Sample {
        lives: None,
        ..Sample::default()
    };
    assert_eq!(findings(&[endless.deployed()], ""), [(Code::NoExp, true)]);
}

#[test]
fn the_file_itself_is_judged() {
    for (file, mode, expected) in [
        (None, 0o644, &[Code::Mode][..]),
        (None, 0o400, &[]),
        (Some("b.example_nats.creds"), 0o600, &[Code::NameMismatch]),
        (Some("nats.creds"), 0o600, &[Code::Shared]),
    ] {
        let sample = Sample {
            file,
            mode,
            ..Sample::default()
        };
        assert_eq!(codes(&sample), expected, "{file:?} {mode:o}");
    }
}

#[test]
fn a_jwt_that_does_not_fit_is_found() {
    let patterns: Vec<String> = (0..50)
        .map(|n| format!("p.safe.443.a_example.backend_example.*.POST.some-long-path.{n}"))
        .collect();
    let sample = Sample {
        publish: patterns
            .iter()
            .map(|pattern| -> &'static str { pattern.clone().leak() })
            .collect(),
        ..Sample::default()
    };
    assert_eq!(codes(&sample), [Code::Oversize]);
}

#[test]
fn one_key_in_two_files_is_found_in_both() {
    let files = [
        Sample::default().deployed(),
        Sample {
            host: "b.example",
            ..Sample::default()
        }
        .deployed(),
        Sample {
            host: "c.example",
            user: 3,
            ..Sample::default()
        }
        .deployed(),
    ];
    let report = audit(&files, &Minters::default(), NOW);
    let details: Vec<_> = report
        .files
        .iter()
        .map(|row| {
            row.findings
                .iter()
                .map(|found| found.detail.as_str())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        details,
        [
            vec!["the same user key is in creds/b.example_nats.creds"],
            vec!["the same user key is in creds/a.example_nats.creds"],
            vec![],
        ]
    );
}

#[test]
fn what_cannot_be_believed_is_told_from_what_cannot_be_read() {
    let good = Sample::default().deployed().credentials.unwrap();
    let text = good.to_text();
    let (head, tail) = text.split_once(good.jwt()).unwrap();
    let claims = good.jwt().split('.').nth(1).unwrap();
    let forged = good.jwt().replace(claims, &claims.replacen('e', "f", 1));
    let mut header = good.jwt().split('.').next().unwrap().to_owned();
    header.push('.');
    let rest = good.jwt().strip_prefix(&header).unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let badly_signed = format!("{header}{claims}.{flipped}{}", &signature[1..]);
    for (jwt, expected) in [
        (badly_signed.as_str(), Code::BadSig),
        ("no.jwt", Code::Unreadable),
        (forged.as_str(), Code::Unreadable),
    ] {
        let credentials = Credentials::parse(&format!("{head}{jwt}{tail}"));
        assert!(credentials.is_err(), "{jwt}");
        let file = Deployed {
            path: "creds/a.example_nats.creds".to_owned(),
            mode: 0o600,
            credentials,
        };
        let found = findings(&[file], "");
        assert_eq!(found, [(expected, false)], "{jwt}");
    }
}

#[test]
fn unrestricted_credentials_are_everything_at_once() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    // Our own signer refuses to make such a credential, so its JWT is written by hand.
    let account = Nkey::from_random(NkeyKind::Account, [1; 32]).unwrap();
    let user = Nkey::from_random(NkeyKind::User, [2; 32]).unwrap();
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let claims = format!(
        r#"{{"iss":"{}","sub":"{}","name":"a.example","exp":1900000000,"nats":{{"pub":{{}},"sub":{{}},"type":"user","version":2}}}}"#,
        account.public_key(),
        user.public_key()
    );
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(account.sign(signed.as_bytes()).unwrap());
    let file = Deployed {
        path: "a.example_nats.creds".to_owned(),
        mode: 0o600,
        credentials: Ok(Credentials::new(
            format!("{signed}.{signature}"),
            user.expose_seed().unwrap(),
        )),
    };
    let found: Vec<_> = findings(&[file], "")
        .into_iter()
        .map(|(code, _)| code)
        .collect();
    for code in [
        Code::Unrestricted,
        Code::PlaneWildcard,
        Code::MintAny,
        Code::SubOtherDanger,
    ] {
        assert!(found.contains(&code), "{code:?}: {found:?}");
    }
}

#[test]
fn the_text_names_files_grants_findings_and_minters() {
    let sample = Sample {
        publish: vec![
            "p.danger.666.a_example.access_token_core.*.*.mint",
            "p.safe.*.a_example.*.*.*.>",
        ],
        mode: 0o640,
        ..Sample::default()
    };
    let text = audit(&[sample.deployed()], &Minters::default(), NOW).to_text();
    for line in [
        "creds/a.example_nats.creds",
        "  danger   publish   p.danger.666.a_example.access_token_core.*.*.mint",
        "  wildcard publish   p.safe.*.a_example.*.*.*.>",
        "  FINDING  MODE: mode 0640; type chmod 600, and rotate if others had access",
        "a.example may mint: access.token.core",
        "1 files, 2 findings",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
