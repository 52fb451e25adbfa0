//! The way out: one transmit is kept when the socket is full, batches fall apart into single
//! datagrams when the kernel does not take them.

use aqueduct_core::endpoint::Transmit;

use crate::socket::{Fault, Outgoing};
use crate::stats::{IoCounters, add, raise};

use super::Wire;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    kept: Option<Kept>,
    /// The kernel refused a batch once, and took its datagrams: one by one from then on.
    one_by_one: bool,
    /// Memory of the last kept transmit, lent to the next.
    spare: Vec<u8>,
}

#[derive(Debug)]
struct Kept {
    transmit: Transmit,
    bytes: Vec<u8>,
    sent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Gone, or lost as on a wire.
    Done,
    /// Kept: the socket is full.
    Blocked,
    /// The socket is no socket any more.
    Dead,
}

impl Outbox {
    pub(super) fn is_blocked(&self) -> bool {
        self.kept.is_some()
    }

    /// Whether the kernel refuses batches.
    pub(super) fn is_one_by_one(&self) -> bool {
        self.one_by_one
    }

    /// Sends what `bytes` holds; if the socket is full, keeps it and swaps other memory in.
    pub(super) fn send(
        &mut self,
        wire: &mut impl Wire,
        counters: &IoCounters,
        transmit: &Transmit,
        bytes: &mut Vec<u8>,
    ) -> Sent {
        let mut sent = 0;
        let outcome = self.push(wire, counters, transmit, bytes, &mut sent);
        if outcome == Sent::Blocked {
            add(&counters.blocked, 1);
            let full = std::mem::replace(bytes, std::mem::take(&mut self.spare));
            self.kept = Some(Kept { transmit: *transmit, bytes: full, sent });
        }
        outcome
    }

    /// Sends what was kept. `false`: the socket is still full.
    pub(super) fn retry(&mut self, wire: &mut impl Wire, counters: &IoCounters) -> bool {
        let Some(mut kept) = self.kept.take() else { return true };
        let outcome = self.push(wire, counters, &kept.transmit, &kept.bytes, &mut kept.sent);
        if outcome == Sent::Blocked {
            self.kept = Some(kept);
            return false;
        }
        self.spare = kept.bytes;
        true
    }

    fn push(
        &mut self,
        wire: &mut impl Wire,
        counters: &IoCounters,
        transmit: &Transmit,
        bytes: &[u8],
        sent: &mut usize,
    ) -> Sent {
        let mut one_by_one = self.one_by_one;
        add(&counters.batches_split, u64::from(one_by_one && transmit.segment.is_some()));
        // The refusal may have been of the destination and not of the batch: the next call shows.
        let mut suspected = false;
        while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
            let segment = transmit.segment.filter(|segment| *segment < rest.len());
            let (part, segment) = match segment {
                Some(one) if one_by_one => (rest.get(..one).unwrap_or(rest), None),
                segment => (rest, segment),
            };
            let outgoing = Outgoing {
                remote: transmit.remote,
                local: transmit.local,
                ecn: transmit.ecn,
                segment,
                bytes: part,
            };
            let count = outgoing.count() as u64;
            match wire.send(&outgoing) {
                Ok(()) => {
                    add(&counters.sends, 1);
                    add(&counters.datagrams_sent, count);
                    add(&counters.bytes_sent, part.len() as u64);
                    if count > 1 {
                        add(&counters.gso_batches, 1);
                        add(&counters.gso_segments, count);
                        raise(&counters.gso_largest, count);
                    }
                    *sent += part.len();
                    if core::mem::take(&mut suspected) {
                        tracing::info!("batches are refused; datagrams go one by one now");
                        raise(&counters.gso_disabled, 1);
                        self.one_by_one = true;
                    }
                }
                Err(error) => match Fault::of(&error) {
                    Fault::WouldBlock => return Sent::Blocked,
                    Fault::Segmentation if count > 1 => {
                        tracing::debug!(%error, "a batch was refused");
                        add(&counters.batches_split, 1);
                        (one_by_one, suspected) = (true, true);
                    }
                    fault => {
                        suspected = false;
                        add(&counters.send_errors, 1);
                        super::outbox::count(counters, fault);
                        tracing::debug!(%error, remote = %transmit.remote, "sending failed");
                        if fault == Fault::Dead {
                            return Sent::Dead;
                        }
                        *sent += part.len();
                    }
                },
            }
        }
        Sent::Done
    }
}

pub(super) fn count(counters: &IoCounters, fault: Fault) {
    let counter = match fault {
        Fault::WouldBlock => return,
        Fault::Unreachable => &counters.unreachable,
        Fault::NoBuffers => &counters.no_buffers,
        Fault::Refused => &counters.refused,
        Fault::TooLarge => &counters.too_large,
        Fault::NotPermitted => &counters.not_permitted,
        Fault::Segmentation | Fault::Dead | Fault::Other => &counters.other_errors,
    };
    add(counter, 1);
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
