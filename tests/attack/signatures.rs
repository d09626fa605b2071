//! Signatures that a lenient verifier takes: malleated, of small order, non-canonical, cut, grown, of another text.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use sha2::{Digest as _, Sha512};

use crate::forger::{Case, Forger, encode};

pub(crate) fn cases(forger: &Forger) -> Vec<Case> {
    let mut cases = flips(forger);
    cases.extend(scalars(forger));
    cases.extend(points(forger));
    cases.extend(lengths(forger));
    cases.extend(messages(forger));
    cases
}

fn input_and_signature(forger: &Forger) -> (String, [u8; 64]) {
    let [header, payload, _] = forger.parts();
    let input = format!("{header}.{payload}");
    let signature = forger.key.sign(input.as_bytes()).unwrap();
    (input, signature)
}

fn case(forger: &Forger, what: impl AsRef<str>, input: &str, signature: &[u8]) -> Case {
    let reason = if signature.len() == 64 {
        "signature"
    } else {
        "signature_length"
    };
    forger.case(
        "signatures",
        what,
        format!("{input}.{}", encode(signature)),
        reason,
    )
}

/// Every bit counts.
fn flips(forger: &Forger) -> Vec<Case> {
    let (input, good) = input_and_signature(forger);
    let flip = |bit: usize| {
        let mut signature = good;
        signature[bit / 8] ^= 1 << (bit % 8);
        case(forger, format!("bit {bit} is flipped"), &input, &signature)
    };
    (0..512).map(flip).collect()
}

/// The other half of the signature, S, must be less than the order of the group.
fn scalars(forger: &Forger) -> Vec<Case> {
    let (input, good) = input_and_signature(forger);
    let mut cases = Vec::new();
    let mut add = |what: String, s: [u8; 32]| {
        let mut signature = good;
        signature[32..].copy_from_slice(&s);
        cases.push(case(forger, what, &input, &signature));
    };
    let mut s: [u8; 32] = good[32..].try_into().unwrap();
    // S plus 1 to 15 times the order is the same number to whoever does not look; more does not fit.
    for times in 1..=15 {
        s = plus(s, ORDER);
        add(format!("S and {times} times the order"), s);
    }
    let minus_one = plus(ORDER, [0xff; 32]);
    for (what, s) in [
        ("zero", [0; 32]),
        ("one", plus([0; 32], small(1))),
        ("the order", ORDER),
        ("the order less one", minus_one),
        ("the order and one", plus(ORDER, small(1))),
        ("all ones", [0xff; 32]),
        ("half all ones", [0x7f; 32]),
    ] {
        add(format!("S is {what}"), s);
    }
    let negative = -Scalar::from_canonical_bytes(good[32..].try_into().unwrap()).unwrap();
    add("S is negated".into(), negative.to_bytes());
    for high in [0x20, 0x40, 0x80, 0xe0] {
        let mut s: [u8; 32] = good[32..].try_into().unwrap();
        s[31] |= high;
        add(format!("S with the high bits {high:#x}"), s);
    }
    cases
}

/// R of small order, mixed with a point of small order, or no point at all.
fn points(forger: &Forger) -> Vec<Case> {
    let (input, good) = input_and_signature(forger);
    let mut cases = Vec::new();
    let with_r = |r: [u8; 32], s: [u8; 32]| [r, s].concat();
    let good_s: [u8; 32] = good[32..].try_into().unwrap();
    for (number, torsion) in EIGHT_TORSION.iter().enumerate() {
        let r = torsion.compress().to_bytes();
        for (what, s) in [
            ("S zero", [0; 32]),
            ("S as it was", good_s),
            ("S one", small(1)),
        ] {
            let what = format!("R is point {number} of small order, {what}");
            cases.push(case(forger, what, &input, &with_r(r, s)));
        }
    }
    for (number, r) in NON_CANONICAL.iter().enumerate() {
        for (what, s) in [("S zero", [0; 32]), ("S as it was", good_s)] {
            let what = format!("R is non-canonical point {number}, {what}");
            cases.push(case(forger, what, &input, &with_r(*r, s)));
        }
    }
    // Valid after multiplication with the cofactor, which is what a lenient verifier does: R is off by a point of small order.
    let (secret, public) = (secret(forger), forger.key.verifying_key().as_bytes());
    for (number, torsion) in EIGHT_TORSION.iter().enumerate().skip(1) {
        let nonce = Scalar::from(4_711_u64);
        let r = (ED25519_BASEPOINT_POINT * nonce + torsion)
            .compress()
            .to_bytes();
        let challenge: [u8; 64] =
            Sha512::digest([&r[..], public, input.as_bytes()].concat()).into();
        let s = nonce + Scalar::from_bytes_mod_order_wide(&challenge) * secret;
        let what = format!("R is mixed with point {number} of small order");
        cases.push(case(forger, what, &input, &with_r(r, s.to_bytes())));
    }
    for (what, signature) in [
        ("all zeros", [0; 64]),
        ("all ones", [0xff; 64]),
        (
            "the key twice",
            [*public, *public].concat().try_into().unwrap(),
        ),
    ] {
        cases.push(case(forger, what, &input, &signature));
    }
    let swapped = [&good[32..], &good[..32]].concat();
    cases.push(case(forger, "R and S exchanged", &input, &swapped));
    let reversed: Vec<u8> = good.iter().rev().copied().collect();
    cases.push(case(forger, "in the other byte order", &input, &reversed));
    cases
}

/// A signature has 64 bytes.
fn lengths(forger: &Forger) -> Vec<Case> {
    let (input, good) = input_and_signature(forger);
    let mut cases: Vec<_> = (0..64)
        .map(|length| {
            case(
                forger,
                format!("cut to {length} bytes"),
                &input,
                &good[..length],
            )
        })
        .collect();
    for more in [1, 2, 32, 64, 192, 448] {
        let grown = [&good[..], &vec![0; more]].concat();
        cases.push(case(
            forger,
            format!("grown by {more} zeros"),
            &input,
            &grown,
        ));
        let led = [&vec![0; more][..], &good].concat();
        cases.push(case(forger, format!("led by {more} zeros"), &input, &led));
    }
    let der = [
        &[0x30, 0x44, 0x02, 0x20][..],
        &good[..32],
        &[0x02, 0x20],
        &good[32..],
    ]
    .concat();
    cases.push(case(forger, "wrapped in DER", &input, &der));
    cases.push(case(forger, "twice", &input, &[good, good].concat()));
    let text: String = good.iter().map(|byte| format!("{byte:02x}")).collect();
    cases.push(case(forger, "as hexadecimal text", &input, text.as_bytes()));
    cases.push(case(
        forger,
        "encoded twice",
        &input,
        encode(good).as_bytes(),
    ));
    cases
}

/// Good signatures of something else.
fn messages(forger: &Forger) -> Vec<Case> {
    let [header, payload, _] = forger.parts();
    let input = format!("{header}.{payload}");
    let hash = Sha512::digest(&input);
    let texts: [(&str, Vec<u8>); 12] = [
        ("nothing", Vec::new()),
        (
            "the parts without the dot",
            format!("{header}{payload}").into(),
        ),
        ("the header", header.clone().into()),
        ("the payload", payload.clone().into()),
        (
            "the parts the other way round",
            format!("{payload}.{header}").into(),
        ),
        (
            "the decoded parts",
            format!("{}.{}", forger.header(), forger.payload()).into(),
        ),
        ("the decoded claims", forger.payload().into()),
        ("the input and a dot", format!("{input}.").into()),
        ("the input and a line break", format!("{input}\n").into()),
        ("the hash of the input", hash.to_vec()),
        ("the input in upper case", input.to_uppercase().into()),
        (
            "the division moved",
            format!(
                "{}.{}{payload}",
                &header[..header.len() - 1],
                &header[header.len() - 1..]
            )
            .into(),
        ),
    ];
    let sign = |(what, text): (&str, Vec<u8>)| {
        case(
            forger,
            format!("of {what}"),
            &input,
            &forger.key.sign(&text).unwrap(),
        )
    };
    texts.into_iter().map(sign).collect()
}

/// The secret scalar of the forger's key (RFC 8032 section 5.1.5).
fn secret(forger: &Forger) -> Scalar {
    let seed = match forger.issuer {
        microbus_token::Issuer::Access => [1; 32],
        microbus_token::Issuer::Bearer => [2; 32],
    };
    let hash: [u8; 64] = Sha512::digest(seed).into();
    let secret = Scalar::from_bytes_mod_order(clamp_integer(hash[..32].try_into().unwrap()));
    let public = (ED25519_BASEPOINT_POINT * secret).compress().to_bytes();
    assert_eq!(&public, forger.key.verifying_key().as_bytes());
    secret
}

fn small(number: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = number;
    bytes
}

/// Adds two numbers of 256 bits, little end first.
fn plus(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    let mut sum = [0; 32];
    for ((sum, left), right) in sum.iter_mut().zip(left).zip(right) {
        let total = u16::from(left) + u16::from(right) + carry;
        *sum = total.to_le_bytes()[0];
        carry = total >> 8;
    }
    sum
}

/// The order of the group, 2^252 + 27742317777372353535851937790883648493.
pub(crate) const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Encodings of y of p or more, with either sign: y is p, p + 1, and 2^255 - 1.
pub(crate) const NON_CANONICAL: [[u8; 32]; 6] = [
    with_ends(0xed, 0x7f),
    with_ends(0xee, 0x7f),
    with_ends(0xff, 0x7f),
    with_ends(0xed, 0xff),
    with_ends(0xee, 0xff),
    with_ends(0xff, 0xff),
];

const fn with_ends(first: u8, last: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}
