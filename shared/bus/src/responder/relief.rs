//! A second core for handlers, as long as many requests wait.
//!
//! One thread reads, handles and writes as long as it keeps up, since that takes the least CPU. Under a flood, though, it
//! spends half of its core on hearing and refusing, which is then missing for handling: measured when asked for twice what
//! it can do, alone it answers half to two thirds of its best rate, and about nine tenths with a thread beside it. That
//! thread is one of the runtime's own for blocking work, which come and go by themselves. (From 128 waiting requests on, 256
//! in flight were answered a fourteenth faster for a sixth more CPU: measured, and not worth it.)

use super::Responder;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use tokio::runtime::Handle;

/// When another thread helps.
#[derive(Debug)]
pub(super) struct Relief {
    /// So many requests wait then.
    from: usize,
    under_way: AtomicBool,
}

impl Relief {
    pub(super) fn new(from: usize) -> Self {
        Self {
            from,
            under_way: AtomicBool::new(false),
        }
    }
}

impl Responder {
    /// Has another thread help if that many requests wait and none does yet.
    pub(super) fn relieve(self: &Arc<Self>, waiting: usize) {
        let relief = &self.relief;
        if waiting < relief.from || relief.under_way.swap(true, Ordering::AcqRel) {
            return;
        }
        let (responder, runtime) = (Arc::clone(self), Handle::current());
        // It ends when little is left; nobody waits for that, but for the answers.
        drop(tokio::task::spawn_blocking(move || {
            runtime.block_on(responder.help());
        }));
    }

    async fn help(self: Arc<Self>) {
        let enough = self.relief.from / 2;
        loop {
            // A guard in the condition would live as long as the loop's body.
            let pending = self.queue().pop_beyond(enough);
            let Some(pending) = pending else { break };
            let now = self.clock.now();
            self.run(pending, now).await;
        }
        self.relief.under_way.store(false, Ordering::Release);
    }
}

/// Returns from how many waiting requests on another thread is of use on this machine: the largest number if it has one
/// core.
pub(crate) fn relief_from() -> usize {
    match available_parallelism() {
        Ok(cores) if cores > NonZero::<usize>::MIN => MANY,
        _ => usize::MAX,
    }
}

/// More than callers who wait for their answers have in flight, mostly: about 7 ms of signatures.
const MANY: usize = 512;
