//! What is wrong with a signature that does not verify.

use microbus_token::{SIGNATURE_LENGTH, VerifyingKey};

/// Tells whether `signature` becomes one of `message` when the group order is taken off its second half.
///
/// Ed25519 in its lax form takes S and S + L alike, so that anybody can make a second signature of a text from the first;
/// strict verification takes the smaller one only (RFC 8032 section 5.1.7).
pub(super) fn is_malleated(
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8; SIGNATURE_LENGTH],
) -> bool {
    let mut candidate = *signature;
    // Below 2^256 there are at most sixteen representatives.
    for _ in 0..16 {
        let Some(scalar) = candidate.last_chunk_mut::<32>() else {
            return false;
        };
        if !subtract_order(scalar) {
            return false;
        }
        if key.verify(message, &candidate) {
            return true;
        }
    }
    false
}

/// Takes the group order off a little-endian number; false if it is smaller, and then it is of no use any more.
fn subtract_order(scalar: &mut [u8; 32]) -> bool {
    let mut borrow = false;
    for (digit, order) in scalar.iter_mut().zip(GROUP_ORDER) {
        let (difference, below) = digit.overflowing_sub(order);
        let (difference, still_below) = difference.overflowing_sub(u8::from(borrow));
        borrow = below || still_below;
        *digit = difference;
    }
    !borrow
}

/// 2^252 + 27742317777372353535851937790883648493, little-endian (RFC 8032 section 5.1).
const GROUP_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::{Secret, SigningKey};

    /// Adds the group order to the second half.
    fn malleated(mut signature: [u8; 64]) -> [u8; 64] {
        let mut carry = 0;
        for (digit, order) in signature[32..].iter_mut().zip(GROUP_ORDER) {
            let sum = u16::from(*digit) + u16::from(order) + carry;
            *digit = u8::try_from(sum & 0xff).unwrap();
            carry = sum >> 8;
        }
        signature
    }

    #[test]
    fn a_second_form_of_a_signature_is_told_from_a_wrong_one() {
        let key = SigningKey::from_seed(&Secret::new(vec![1; 32])).unwrap();
        let (public, signature) = (key.verifying_key(), key.sign(b"text").unwrap());
        let second = malleated(signature);
        assert!(!public.verify(b"text", &second));
        assert!(is_malleated(public, b"text", &second));
        assert!(is_malleated(public, b"text", &malleated(second)));
        assert!(!is_malleated(public, b"other text", &second));
        assert!(!is_malleated(public, b"text", &[0xff; 64]));
        assert!(!is_malleated(public, b"text", &signature));
    }
}
