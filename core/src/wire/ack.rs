//! ACK frames: ranges of packet numbers in and out.
//!
//! On the wire the ranges stand from the largest down, each as its distance to the one before:
//!
//! ```text
//!   numbers   1 2 3 . . 6 7 . 9 10 11        largest 11, first 2 (9..=11)
//!             └─┬─┘     └┬┘   └──┬──┘        gap 0, length 1    (6..=7)
//!               3        2       1           gap 1, length 2    (1..=3)
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use super::codec::{DecodeError, Put, Reader};
use super::id::PacketNumber;
use super::varint;
use crate::range_set::RangeSet;

/// Ranges in one ACK frame, at most.
pub const MAX_ACK_RANGES: usize = 256;

/// Counts of ECN marks received on a path since the connection began (RFC 9000 section 13.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct EcnCounts {
    /// Packets marked ECT(0).
    pub ect0: u64,
    /// Packets marked ECT(1).
    pub ect1: u64,
    /// Packets marked CE.
    pub ce: u64,
}

/// A validated ACK frame; its ranges stay encoded until they are walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckFrame<'a> {
    /// Largest packet number acknowledged.
    pub largest: PacketNumber,
    /// Time between receipt of `largest` and this ACK, in microseconds.
    pub delay_us: u64,
    /// The encoded gaps and lengths behind the first range.
    pub(crate) ranges: &'a [u8],
    /// Length of the first range minus one.
    pub(crate) first: u64,
    /// ECN counts, if the sender reads marks.
    pub ecn: Option<EcnCounts>,
}

impl<'a> AckFrame<'a> {
    /// The `max_ranges` highest ranges of `received` (at most [`MAX_ACK_RANGES`]), encoded into
    /// `scratch`, whose content is lost. `None` if nothing was received.
    ///
    /// A part that writes into a packet uses [`super::packet::PacketWriter::write_ack`] instead,
    /// which needs no scratch and heeds the room that is left.
    pub fn from_ranges(
        received: &RangeSet,
        delay_us: u64,
        ecn: Option<EcnCounts>,
        max_ranges: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Option<Self> {
        scratch.clear();
        let (largest, first) = head(received)?;
        for (gap, length) in tail(received).take(max_ranges.clamp(1, MAX_ACK_RANGES) - 1) {
            scratch.varint(gap);
            scratch.varint(length);
        }
        Some(Self { largest, delay_us, ranges: scratch, first, ecn })
    }

    /// The acknowledged numbers as half-open ranges, from the highest down; they neither overlap
    /// nor touch. At least one, at most [`MAX_ACK_RANGES`].
    pub fn ranges(&self) -> AckRanges<'a> {
        AckRanges { next: bounds(self.largest.0, self.first), encoded: Reader::new(self.ranges) }
    }

    /// Reads what stands behind the type, and checks every range.
    pub(super) fn decode(reader: &mut Reader<'a>, with_ecn: bool) -> Result<Self, DecodeError> {
        let largest = reader.varint()?;
        let delay_us = reader.varint()?;
        let count = reader.varint()?;
        if count >= MAX_ACK_RANGES as u64 {
            return Err(DecodeError::Malformed("an ACK with too many ranges"));
        }
        let first = reader.varint()?;
        let mut last = bounds(largest, first).ok_or(BELOW_ZERO)?;
        let behind = reader.rest();
        for _ in 0..count {
            last = following(&last, reader.varint()?, reader.varint()?).ok_or(BELOW_ZERO)?;
        }
        let encoded = behind.len().saturating_sub(reader.remaining());
        let ranges = behind.get(..encoded).unwrap_or_default();
        let ecn = if with_ecn { Some(EcnCounts::decode(reader)?) } else { None };
        Ok(Self { largest: PacketNumber(largest), delay_us, ranges, first, ecn })
    }
}

const BELOW_ZERO: DecodeError = DecodeError::Malformed("an ACK range below packet number 0");

impl EcnCounts {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { ect0: reader.varint()?, ect1: reader.varint()?, ce: reader.varint()? })
    }
}

/// The ranges of an [`AckFrame`], from the highest down.
#[derive(Clone, Debug)]
pub struct AckRanges<'a> {
    next: Option<Range<u64>>,
    encoded: Reader<'a>,
}

impl Iterator for AckRanges<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        let current = self.next.take()?;
        if let (Ok(gap), Ok(length)) = (self.encoded.varint(), self.encoded.varint()) {
            self.next = following(&current, gap, length);
        }
        Some(current)
    }
}

/// The range that ends with `largest` and holds `length` numbers below it.
fn bounds(largest: u64, length: u64) -> Option<Range<u64>> {
    Some(largest.checked_sub(length)?..largest.checked_add(1)?)
}

fn following(above: &Range<u64>, gap: u64, length: u64) -> Option<Range<u64>> {
    bounds(above.start.checked_sub(gap)?.checked_sub(2)?, length)
}

/// The largest number, and how many below it belong to the first range.
pub(super) fn head(received: &RangeSet) -> Option<(PacketNumber, u64)> {
    let first = received.last()?;
    let largest = first.end.checked_sub(1)?;
    Some((PacketNumber(largest), largest.saturating_sub(first.start)))
}

/// Gap and length of each range behind the first.
pub(super) fn tail(received: &RangeSet) -> impl Iterator<Item = (u64, u64)> + '_ {
    let below = received.iter().rev().skip(1);
    received.iter().rev().zip(below).map(|(above, range)| {
        let gap = above.start.saturating_sub(range.end).saturating_sub(1);
        (gap, range.end.saturating_sub(range.start).saturating_sub(1))
    })
}

/// How many of the ranges behind the first fit `room` bytes, and at most `most`.
pub(super) fn fitting(received: &RangeSet, most: usize, room: usize) -> usize {
    let mut left = room;
    let fits = |(gap, length): &(u64, u64)| {
        let size = varint::len(*gap) + varint::len(*length);
        let enough = size <= left;
        left = left.saturating_sub(size);
        enough
    };
    tail(received).take(most).take_while(fits).count()
}
