//! What the driver did with its socket, and what messages did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::latency::Latencies;
use crate::threads::Room;

macro_rules! counters {
    (
        $(#[$of:meta])* $stats:ident,
        $(#[$being:meta])* $counters:ident,
        $($(#[$doc:meta])* $name:ident,)*
    ) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        $(#[$being])*
        #[derive(Debug, Default)]
        pub(crate) struct $counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl $counters {
            pub(crate) fn snapshot(&self) -> $stats {
                $stats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Counts of one endpoint's messages, by the way that they took, and of bodies that were
    /// verified. Every field only grows. Sizes in bytes.
    MessageStats,
    /// The same, being counted, by anybody.
    MessageCounters,
    /// Messages that were taken to be sent whole; what was too old by then is not among them.
    whole_sent,
    /// Their bytes.
    whole_bytes_sent,
    /// Messages that `send_auto` sent as streams, and the receiver verified.
    streamed_sent,
    /// Their bytes.
    streamed_bytes_sent,
    /// Messages that came whole and were taken.
    whole_received,
    /// Their bytes.
    whole_bytes_received,
    /// Messages that came as streams, were read to the end and verified.
    streamed_received,
    /// Their bytes.
    streamed_bytes_received,
    /// Messages that came as streams and ended with an error.
    failed,
    /// Of them: those with a wrong digest.
    verification_failures,
    /// Of them: those with another size than was announced.
    size_failures,
    /// Messages that were sent as streams, in which the receiver found another digest.
    refuted,
    /// Streams that are no messages, and whose reader found another digest than was announced.
    bodies_damaged,
    /// Messages that came as streams and had to wait for room to be put together.
    assemblies_delayed,
    /// The most bytes that were taken at a time for messages that are put together from streams.
    assembly_most,
    /// Messages, and other streams that were collected, that were not the same read as a stream
    /// and put together as a whole. Only shadow mode looks.
    streaming_mismatches_total,
}

counters! {
    /// Counts of one endpoint's socket since it was bound. Every field only grows.
    IoStats,
    /// The same, being counted. One writer (whoever works at the engine), any number of readers.
    IoCounters,
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
    /// TCP connections that this side began.
    tcp_dialled,
    /// TCP connections that were accepted.
    tcp_accepted,
    /// TCP connections that were closed when they came, or gave way: too many that nobody used.
    tcp_turned_away,
    /// TCP connections that were closed because nothing used them.
    tcp_unused,
    /// Times the driver slept.
    sleeps,
    /// Turns that the driver has had.
    turns,
}

/// Messages, being counted and timed.
#[derive(Debug, Default)]
pub(crate) struct MessageTally {
    pub(crate) counts: MessageCounters,
    pub(crate) first_fragment: Latencies,
    pub(crate) complete: Latencies,
    pub(crate) room: Room,
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
