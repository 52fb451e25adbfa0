//! What the driver did with its socket, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of one endpoint's socket since it was bound. Every field only grows.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct IoStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The same, being counted. One writer (whoever works at the engine), any number of
        /// readers.
        #[derive(Debug, Default)]
        pub(crate) struct IoCounters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl IoCounters {
            pub(crate) fn snapshot(&self) -> IoStats {
                IoStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Datagrams that the kernel took.
    datagrams_sent,
    /// Datagrams that arrived.
    datagrams_received,
    /// Bytes of UDP payload that the kernel took.
    bytes_sent,
    /// Bytes of UDP payload that arrived.
    bytes_received,
    /// System calls that sent something.
    sends,
    /// System calls that received something.
    receives,
    /// Sends of more than one datagram in one call (segmentation offload).
    gso_batches,
    /// Datagrams that left in such sends.
    gso_segments,
    /// Most datagrams that left in one call.
    gso_largest,
    /// Messages that the kernel had joined from several datagrams (receive offload).
    gro_batches,
    /// Datagrams that arrived in such messages.
    gro_segments,
    /// Most datagrams that arrived in one message.
    gro_largest,
    /// Most datagrams that arrived in one system call.
    receive_largest,
    /// Times the kernel refused a batch and datagrams were sent one by one from then on (0 or 1).
    gso_disabled,
    /// Times the socket was full and one transmit was kept.
    blocked,
    /// Sends that failed otherwise; their datagrams are lost as on a wire.
    send_errors,
    /// Receives that failed.
    recv_errors,
    /// Of the errors: no route to the network or the host.
    unreachable,
    /// Of the errors: the kernel had no buffers.
    no_buffers,
    /// Of the errors: a port answered that nobody listens.
    refused,
    /// Of the errors: larger than the interface carries.
    too_large,
    /// Of the errors: forbidden by a firewall or the system.
    not_permitted,
    /// Of the errors: any other.
    other_errors,
    /// Datagrams of applications that no longer fit a packet when their turn came.
    datagrams_unsendable,
    /// Batches of the core that were taken apart, because the kernel refuses them.
    batches_split,
    /// Times the driver slept.
    sleeps,
}

pub(crate) fn add(counter: &AtomicU64, by: u64) {
    // One writer: a plain addition, without the price of a locked one.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

pub(crate) fn raise(counter: &AtomicU64, to: u64) {
    if to > counter.load(Ordering::Relaxed) {
        counter.store(to, Ordering::Relaxed);
    }
}
