//! Memory for the messages that are sent. Many share a piece of it: an allocation for each, and another one when the client
//! takes its copy of it, cost more than writing a message.

use bytes::{Bytes, BytesMut};
use std::sync::{Mutex, PoisonError};

/// What messages are written on. A sheet is given up when it is full, and freed when all that is on it was sent.
#[derive(Debug)]
pub(super) struct Paper(Mutex<BytesMut>);

impl Paper {
    pub(super) fn new() -> Self {
        Self(Mutex::new(BytesMut::with_capacity(SHEET)))
    }

    /// Returns the message that `write` appends.
    pub(super) fn write(&self, write: impl FnOnce(&mut BytesMut)) -> Bytes {
        let mut sheet = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut sheet);
        let message = sheet.split().freeze();
        if message.len() > SHEET {
            // Memory as large as that is not kept.
            *sheet = BytesMut::with_capacity(SHEET);
        }
        message
    }
}

/// Bytes of a sheet: the messages of one batch of usual requests, about.
const SHEET: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_whole_and_apart_whatever_their_sizes() {
        let paper = Paper::new();
        let sizes = [100, SHEET - 150, 100, 0, 3 * SHEET, 1, SHEET, 7];
        let sheets = sizes.iter().zip(0_u8..).cycle().take(100);
        let messages: Vec<_> = sheets
            .map(|(size, mark)| {
                let text = vec![mark; *size];
                let message = paper.write(|out| out.extend_from_slice(&text));
                (message, text)
            })
            .collect();
        assert!(messages.iter().all(|(message, text)| *message == text));
    }

    #[test]
    fn a_large_message_takes_its_memory_with_it() {
        let paper = Paper::new();
        drop(paper.write(|out| out.extend_from_slice(&[0; 10 * SHEET])));
        assert!(paper.0.lock().unwrap().capacity() <= SHEET);
        for _ in 0..1000 {
            drop(paper.write(|out| out.extend_from_slice(&[0; 999])));
        }
        assert!(paper.0.lock().unwrap().capacity() <= 2 * SHEET);
    }
}
