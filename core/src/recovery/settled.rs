//! What the ledger hands up: receipts that came back, and what each path learnt.

use alloc::vec::Vec;
use core::time::Duration;

use smallvec::SmallVec;

use super::{LossSample, RateSample};
use crate::time::Instant;
use crate::wire::ack::EcnCounts;
use crate::wire::frame::SentFrame;
use crate::wire::id::{PacketNumber, PathId};

/// A packet as the ledger takes it in. Its receipts are handed over beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentPacket {
    /// Above every number before; numbers left out are skipped ones.
    pub number: PacketNumber,
    /// Where it went.
    pub path: PathId,
    /// Bytes of the datagram that congestion control counts.
    pub size: u16,
    /// Whether the peer must acknowledge it. What need not be acknowledged is not in flight.
    pub ack_eliciting: bool,
    /// Whether it is larger than what the path is known to carry: its loss is no congestion.
    pub mtu_probe: bool,
}

/// What became of packets: filled by [`super::Ledger`], emptied and reused by its owner.
///
/// Receipts of one ACK range stand in the order of sending; ranges from highest to lowest.
#[derive(Clone, Debug, Default)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Settled {
    /// Receipts of packets that arrived.
    pub acked: Vec<SentFrame>,
    /// Receipts of packets that are lost, or whose content is worth sending again as a probe.
    pub lost: Vec<SentFrame>,
    /// What each path that is concerned learnt.
    pub paths: SmallVec<[PathOutcome; 2]>,
}

impl Settled {
    /// Empties everything; keeps the memory.
    pub fn clear(&mut self) {
        self.acked.clear();
        self.lost.clear();
        self.paths.clear();
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.acked.is_empty() && self.lost.is_empty() && self.paths.is_empty()
    }

    /// The outcome of `path`, begun with `prior_in_flight` if there is none.
    pub(super) fn outcome(&mut self, path: PathId, prior_in_flight: u64) -> &mut PathOutcome {
        let at = self.paths.iter().position(|outcome| outcome.path == path);
        let at = at.unwrap_or_else(|| {
            self.paths.push(PathOutcome { path, prior_in_flight, ..PathOutcome::default() });
            self.paths.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed just above")]
        &mut self.paths[at]
    }
}

/// What one path learnt from an ACK or from time passing. Sizes in bytes of datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct PathOutcome {
    /// The path.
    pub path: PathId,
    /// In flight before any of this happened.
    pub prior_in_flight: u64,
    /// Newly acknowledged bytes.
    pub acked_bytes: u64,
    /// Newly acknowledged packets.
    pub acked_packets: u32,
    /// The highest number newly acknowledged.
    pub largest_acked: Option<PacketNumber>,
    /// When that left.
    pub largest_acked_sent: Option<Instant>,
    /// The size of the largest datagram newly acknowledged: the path carries as much.
    pub largest_acked_size: Option<u16>,
    /// Whether the sender had nothing more to send when the newest of them left.
    pub app_limited: bool,
    /// A sample for the path's [`super::Rtt`].
    pub rtt: Option<RttSample>,
    /// A sample of its delivery rate.
    pub rate: Option<RateSample>,
    /// The peer's counts, if the ACK has any and is the newest.
    pub ecn: Option<EcnCounts>,
    /// Bytes lost, probes of the packet size apart.
    pub lost_bytes: u64,
    /// Packets lost, probes of the packet size apart.
    pub lost_packets: u32,
    /// When the last of them had left: a loss after a reduction's start calls for another.
    pub largest_lost_sent: Option<Instant>,
    /// The size of the smallest of them.
    pub smallest_lost_size: Option<u16>,
    /// Runs of packets sent one after another that begin among them.
    pub lost_ranges: u32,
    /// The one of them with which the most was lost beyond what congestion control lets pass.
    pub excess_loss: Option<LossSample>,
    /// Everything was lost for so long that the path must be taken as new (RFC 9002 section 7.6).
    pub persistent_congestion: bool,
    /// The size of a probe of the packet size that arrived.
    pub mtu_acked: Option<u16>,
    /// The size of a probe of the packet size that was lost.
    pub mtu_lost: Option<u16>,
    /// Packets that arrived after all: a reduction that they caused may be undone.
    pub spurious: SmallVec<[Spurious; 2]>,
}

impl PathOutcome {
    /// A packet was lost, the next after the one that was lost before it if it `follows`.
    pub(super) fn count_lost(
        &mut self,
        size: u16,
        sent_at: Instant,
        follows: bool,
        sample: LossSample,
    ) {
        if sample.excess() > self.excess_loss.map_or(0, |worst| worst.excess()) {
            self.excess_loss = Some(sample);
        }
        self.lost_ranges += u32::from(!follows);
        self.lost_packets += 1;
        self.lost_bytes += u64::from(size);
        self.largest_lost_sent = self.largest_lost_sent.max(Some(sent_at));
        let smallest = self.smallest_lost_size.map_or(size, |seen| seen.min(size));
        self.smallest_lost_size = Some(smallest);
    }
}

/// A packet that arrived after all, having been declared lost before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Spurious {
    /// When it was sent.
    pub sent: Instant,
    /// When it was declared lost.
    pub lost: Instant,
}

/// How long a packet took, as [`super::Rtt::on_sample`] wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct RttSample {
    /// From sending to the ACK.
    pub latest: Duration,
    /// How long the peer says that it waited before it answered.
    pub ack_delay: Duration,
}

/// What a deadline of the ledger brought. [`Settled`] may hold losses in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fired {
    /// Nothing that was not in [`Settled`].
    Nothing,
    /// `count` packets that elicit an ACK are to be sent at once, whatever congestion control says.
    /// `Settled::lost` holds what is best sent in them; a PING does if there is nothing.
    Probe {
        /// How many.
        count: u8,
    },
    /// One packet of PING, and of ACKs, is to be sent at once, whatever congestion control says.
    Ping,
    /// A reliable carrier in use is silent for longer; nothing is to be sent.
    Hush,
    /// The peer is gone.
    PeerLost {
        /// Probe timeouts that brought nothing.
        probes: u32,
        /// Since the last answer, or since the first packet after it.
        waited: Duration,
    },
}

/// How a path's packets can vanish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub enum Carriage {
    /// Datagrams: any may be lost, delayed or doubled.
    #[default]
    Datagrams,
    /// A reliable byte stream: nothing is lost before the whole carrier is, so nothing is timed;
    /// and nothing overtakes, so what a later packet left behind was refused by the receiver.
    Reliable,
    /// A reliable byte stream that has broken while it was in use, with no other way there. Nothing
    /// is sent on it, and it is silent.
    Broken,
}

/// Counters of a [`super::Ledger`] since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct LedgerStats {
    /// Packets sent, of every kind.
    pub packets_sent: u64,
    /// Packets sent that elicit an ACK.
    pub eliciting_sent: u64,
    /// Of those, acknowledged while in flight.
    pub acked: u64,
    /// Of those, declared lost (probes of the packet size included).
    pub lost: u64,
    /// Of the lost, acknowledged after all.
    pub spurious: u64,
    /// ACK frames taken in.
    pub acks: u64,
    /// Probe timeouts.
    pub probe_timeouts: u64,
    /// Times that persistent congestion was seen.
    pub persistent_congestion: u64,
}

impl LedgerStats {
    /// Takes in what others counted.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.packets_sent += other.packets_sent;
        self.eliciting_sent += other.eliciting_sent;
        self.acked += other.acked;
        self.lost += other.lost;
        self.spurious += other.spurious;
        self.acks += other.acks;
        self.probe_timeouts += other.probe_timeouts;
        self.persistent_congestion += other.persistent_congestion;
    }
}
