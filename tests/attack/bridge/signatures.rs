//! Signatures that a lenient verifier takes: bent, cut, grown, of another form, padding, text or owner.

use super::forger::{Case, Forger};
use crate::forger::encode;

pub(crate) fn cases(forger: &Forger<'_>) -> Vec<Case> {
    let (input, good) = input_and_signature(forger);
    let mut cases = Vec::new();
    let mut add = |what: String, signature: &[u8]| {
        let token = format!("{input}.{}", encode(signature));
        cases.push(forger.case("signatures", what, token, "signature"));
    };
    let bits = good.len() * 8;
    for bit in (0..bits).step_by(bits / 64) {
        let mut bent = good.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        add(format!("bit {bit} is flipped"), &bent);
    }
    for length in [0, 1, good.len() / 2, good.len() - 1] {
        add(format!("cut to {length} bytes"), &good[..length]);
    }
    for more in [1, 2, good.len()] {
        add(
            format!("{more} zeros behind"),
            &[&*good, &vec![0; more]].concat(),
        );
        add(
            format!("{more} zeros ahead"),
            &[&*vec![0; more], &*good].concat(),
        );
    }
    add("all zeros".into(), &vec![0; good.len()]);
    add("all ones".into(), &vec![0xff; good.len()]);
    let mut one = vec![0; good.len()];
    *one.last_mut().unwrap() = 1;
    add("the number one".into(), &one);
    add(
        "backwards".into(),
        &good.iter().rev().copied().collect::<Vec<_>>(),
    );
    add(
        "of a stranger's key".into(),
        &forger.stranger.sign(input.as_bytes()).unwrap(),
    );
    add("of nothing".into(), &forger.signer.sign(b"").unwrap());
    let (header, payload) = input.split_once('.').unwrap();
    for (what, text) in [
        ("the payload alone", payload.to_owned()),
        ("the header alone", header.to_owned()),
        ("the parts without a dot", format!("{header}{payload}")),
        (
            "the parts the wrong way round",
            format!("{payload}.{header}"),
        ),
        ("a dot more", format!("{input}.")),
        ("the decoded payload", forger.payload()),
    ] {
        add(
            format!("of {what}"),
            &forger.signer.sign(text.as_bytes()).unwrap(),
        );
    }
    match forger.signer.alg {
        "RS256" => add(
            "padded as PSS".into(),
            &forger.signer.sign_as("PS256", input.as_bytes()).unwrap(),
        ),
        "PS256" => add(
            "padded as PKCS #1 v1.5".into(),
            &forger.signer.sign_as("RS256", input.as_bytes()).unwrap(),
        ),
        _ => halves(&good, &mut add),
    }
    match forger.signer.alg {
        "ES256" => {
            add("in DER".into(), &der(&good));
            for (what, number) in [
                ("zero", [0; 32]),
                ("the order", ORDER),
                ("all ones", [0xff; 32]),
            ] {
                add(format!("r is {what}"), &[&number[..], &good[32..]].concat());
                add(format!("s is {what}"), &[&good[..32], &number].concat());
                add(format!("r and s are {what}"), &[number, number].concat());
            }
        }
        "EdDSA" => {
            let mut s: [u8; 32] = good[32..].try_into().unwrap();
            for times in 1..=7 {
                s = plus_ed25519_order(s);
                add(
                    format!("S and {times} times the order"),
                    &[&good[..32], &s].concat(),
                );
            }
        }
        _ => {}
    }
    for (what, members) in [
        ("another subject", r#""sub":"voldemort""#),
        ("one group more", r#""groups":["Admins"]"#),
        ("a blank more", r#""x":1 "#),
    ] {
        let all = ["exp", "iat", "iss", "aud", "jti", "client_id"];
        let changed = encode(forger.payload_but(&all, members));
        let token = format!("{header}.{changed}.{}", encode(&good));
        cases.push(forger.case(
            "signatures",
            format!("of a token without {what}"),
            token,
            "signature",
        ));
    }
    cases
}

/// A signature of ES256 whose `s` is negated: another signature of the same text.
pub(crate) fn other_form(forger: &Forger<'_>) -> String {
    let (input, good) = input_and_signature(forger);
    let mut s = [0; 32];
    let mut borrow = 0_i16;
    for at in (0..32).rev() {
        let difference = i16::from(ORDER[at]) - i16::from(good[32 + at]) - borrow;
        borrow = i16::from(difference < 0);
        s[at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    assert_ne!(s[..], good[32..]);
    format!("{input}.{}", encode([&good[..32], &s].concat()))
}

fn input_and_signature(forger: &Forger<'_>) -> (String, Vec<u8>) {
    let input = format!("{}.{}", encode(forger.header()), encode(forger.payload()));
    let signature = forger.signer.sign(input.as_bytes()).unwrap();
    (input, signature)
}

fn halves(good: &[u8], add: &mut impl FnMut(String, &[u8])) {
    let (first, second) = good.split_at(32);
    add(
        "halves the wrong way round".into(),
        &[second, first].concat(),
    );
    add("the first half twice".into(), &[first, first].concat());
    add("the second half twice".into(), &[second, second].concat());
}

/// `ECDSA-Sig-Value` (RFC 3279 section 2.2.3).
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let high = bytes[0] & 0x80 != 0;
        let length = u8::try_from(bytes.len() + usize::from(high)).unwrap();
        let sign: &[u8] = if high { &[0] } else { &[] };
        [&[2, length], sign, bytes].concat()
    };
    let inner = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [&[0x30, u8::try_from(inner.len()).unwrap()], &*inner].concat()
}

/// Adds the order of the group of Ed25519, little-endian.
fn plus_ed25519_order(number: [u8; 32]) -> [u8; 32] {
    let mut order = [0; 32];
    order[..16].copy_from_slice(&0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed_u128.to_le_bytes());
    order[31] = 0x10;
    let (mut sum, mut carry) = ([0; 32], 0_u16);
    for at in 0..32 {
        let digit = u16::from(number[at]) + u16::from(order[at]) + carry;
        sum[at] = u8::try_from(digit % 256).unwrap();
        carry = digit / 256;
    }
    assert_eq!(carry, 0);
    sum
}

/// The order of the group of P-256 (FIPS 186-5, SP 800-186 section 3.2.1.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
