//! Each side tells the other from which address its packets come.

use core::net::SocketAddr;

use crate::recovery::Latest;
use crate::wire::frame::Frame;
use crate::wire::packet::PacketWriter;

/// Both directions of OBSERVED_ADDRESS.
#[derive(Clone, Debug)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Observed {
    report: Latest<Report>,
    theirs: Option<Report>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct Report {
    sequence: u64,
    address: SocketAddr,
}

impl Observed {
    /// Nothing seen, nothing heard.
    pub const fn new() -> Self {
        Self { report: Latest::new(), theirs: None }
    }

    /// The peer's packets come from `address` now.
    pub fn observe(&mut self, address: SocketAddr) {
        let sequence = match self.report.value() {
            Some(report) if report.address == address => return,
            Some(report) => report.sequence + 1,
            None => 0,
        };
        self.report.set(Report { sequence, address });
    }

    /// The peer's report. Returns whether it is news.
    pub fn on_frame(&mut self, sequence: u64, address: SocketAddr) -> bool {
        if self.theirs.is_some_and(|known| sequence <= known.sequence) {
            return false;
        }
        let news = self.theirs.is_none_or(|known| known.address != address);
        self.theirs = Some(Report { sequence, address });
        news
    }

    /// Where the peer sees this side's packets come from. A claim and no more.
    pub fn reported(&self) -> Option<SocketAddr> {
        self.theirs.map(|report| report.address)
    }

    /// Writes the newest observation if the peer does not have it.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>) {
        self.report.write(|&Report { sequence, address }| {
            packet.write(&Frame::ObservedAddress { sequence, address })
        });
    }

    /// A packet with the report of that number arrived.
    pub fn on_acked(&mut self, sequence: u64) {
        if let Some(report) = self.sent(sequence) {
            self.report.on_acked(&report);
        }
    }

    /// A packet with the report of that number was lost.
    pub fn on_lost(&mut self, sequence: u64) {
        if let Some(report) = self.sent(sequence) {
            self.report.on_lost(&report);
        }
    }

    fn sent(&self, sequence: u64) -> Option<Report> {
        self.report.value().copied().filter(|report| report.sequence == sequence)
    }
}

impl Default for Observed {
    fn default() -> Self {
        Self::new()
    }
}
