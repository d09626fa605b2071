//! What is left to do once a token is granted, in two stages: to sign it, and to answer with it.

use super::{Caller, Learnt, Minting, Refused, report};
use crate::metrics::Reason;
use bytes::Bytes;
use microbus_bus::{Answer, Failure, Handling, Incoming, Stage};
use microbus_token::{SIGNATURE_LENGTH, SigningKey, UnsignedJwt, WrongSignature};
use microbus_wire::status::ErrorStatus;
use std::sync::Arc;

/// A token that is granted and not answered with yet.
pub(super) struct Granted {
    pub(super) minting: Arc<Minting>,
    pub(super) request: Incoming,
    pub(super) caller: Arc<Caller>,
    pub(super) learnt: Learnt,
    pub(super) key: Arc<SigningKey>,
    pub(super) unsigned: UnsignedJwt,
    /// What came of signing it, once that was done.
    pub(super) signature: Option<Result<[u8; SIGNATURE_LENGTH], WrongSignature>>,
}

impl Stage for Granted {
    fn run(mut self: Box<Self>) -> Handling {
        match self.signature.take() {
            None => {
                self.sign();
                Handling::Next(self)
            }
            Some(signature) => Handling::Done(self.answer(signature)),
        }
    }
}

impl Granted {
    fn sign(&mut self) {
        let began = self.minting.clock.now();
        self.signature = Some(self.key.sign(self.unsigned.signing_input()));
        let minted = &self.minting.metrics.minted;
        minted.signing.observe(self.minting.seconds_since(began));
    }

    fn answer(self, signature: Result<[u8; SIGNATURE_LENGTH], WrongSignature>) -> Answer {
        let body = match signature {
            Ok(signature) => Ok(Bytes::from(self.unsigned.signed(&signature))),
            Err(wrong) => {
                report(&wrong);
                let failure = Failure::new(ErrorStatus::INTERNAL, "internal error");
                Err(Refused {
                    reason: Reason::Signature,
                    failure: failure.with_detail(wrong),
                })
            }
        };
        self.minting
            .conclude(&self.request, &self.caller, &self.learnt, body)
    }
}
