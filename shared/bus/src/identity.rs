//! Who a connection is on the bus.

use microbus_wire::host::Hostname;
use microbus_wire::id::{InstanceId, MessageId};
use microbus_wire::locality::Locality;
use microbus_wire::subject::{Plane, Slot};
use rand::Rng as _;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

/// The name of one instance of a service, kept for the life of its process.
#[derive(Debug, Clone)]
pub struct Identity {
    /// First segment of every subject.
    pub plane: Plane,
    /// Host name of the service.
    pub hostname: Hostname,
    /// Version of the service's interface, as in `Microbus-From-Version`.
    pub version: u32,
    /// This instance.
    pub instance: InstanceId,
    /// Where this instance runs, if told.
    pub locality: Option<Locality>,
}

impl Identity {
    /// Returns the slots to subscribe an endpoint at: `_`, the own instance, and each prefix of the locality.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let localities = self.locality.iter().flat_map(Locality::prefixes);
        [Slot::Unpinned, Slot::Instance(self.instance.clone())]
            .into_iter()
            .chain(localities.map(|prefix| Slot::Locality(prefix.to_owned())))
            .collect()
    }
}

/// Draws an instance ID from the operating system's generator.
#[must_use]
pub fn random_instance_id() -> InstanceId {
    InstanceId::from_random(random())
}

pub(crate) fn random_message_id() -> MessageId {
    MessageId::from_random(random())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    UnwrapErr(SysRng).fill_bytes(&mut bytes);
    bytes
}
