//! Frames to bytes.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::ack::AckFrame;
use super::codec::{Length, Put};
use super::frame::{CloseCode, CloseFrame, Frame, MAX_REASON, NewCidFrame, ResetFrame};
use super::frame::{StopFrame, StreamFrame};
use super::id::Dir;
use super::kind;

/// Whether a frame says where it ends, or ends with its packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Counted,
    ToTheEnd,
}

impl Frame<'_> {
    /// Bytes that [`Self::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        let mut length = Length::default();
        self.put(&mut length);
        length.0
    }

    /// Appends the frame. Numbers stand in their shortest form; STREAM and DATAGRAM carry a length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.put(out);
    }

    /// Bytes that [`Self::encode_last`] appends; `None` for a frame that has no such form.
    pub fn encoded_len_last(&self) -> Option<usize> {
        let mut length = Length::default();
        self.put_last(&mut length).then_some(length.0)
    }

    /// Appends the form without a length, which reaches to the packet's end, of STREAM or DATAGRAM.
    /// Other frames have none: nothing is appended, and the answer is false.
    #[must_use]
    pub fn encode_last(&self, out: &mut Vec<u8>) -> bool {
        self.put_last(out)
    }

    fn put_last(&self, out: &mut impl Put) -> bool {
        match self {
            Frame::Stream(frame) => frame.put(Extent::ToTheEnd, out),
            Frame::Datagram { data } => {
                out.varint(kind::DATAGRAM);
                out.bytes(data);
            }
            _ => return false,
        }
        true
    }

    fn put(&self, out: &mut impl Put) {
        match self {
            Frame::Padding { len } => out.zeros(*len),
            Frame::Ping => out.varint(kind::PING),
            Frame::Ack(frame) => frame.put(out),
            Frame::Open(frame) => frame.put(out),
            Frame::Stream(frame) => frame.put(Extent::Counted, out),
            Frame::Skip { id, range } => {
                let length = range.end.saturating_sub(range.start);
                numbers(out, [kind::SKIP, id.0, range.start, length]);
            }
            Frame::Reset(frame) => frame.put(out),
            Frame::Stop(StopFrame { id, code, hop }) => {
                numbers(out, [kind::STOP, id.0, code.on_wire(), *hop]);
            }
            Frame::Datagram { data } => {
                out.varint(kind::DATAGRAM_LEN);
                out.prefixed(data);
            }
            Frame::NewCid(frame) => frame.put(out),
            Frame::RetireCid { sequence } => numbers(out, [kind::RETIRE_CID, *sequence]),
            Frame::PathChallenge { token } => {
                out.varint(kind::PATH_CHALLENGE);
                out.bytes(token);
            }
            Frame::PathResponse { token } => {
                out.varint(kind::PATH_RESPONSE);
                out.bytes(token);
            }
            Frame::ObservedAddress { sequence, address } => {
                numbers(out, [kind::OBSERVED_ADDRESS, *sequence]);
                put_ip(address.ip(), out);
                out.u16(address.port());
            }
            Frame::Params { data } => {
                out.varint(kind::PARAMS);
                out.prefixed(data);
            }
            Frame::Close(frame) => frame.put(out),
            Frame::Unknown { kind, data } => {
                out.varint(*kind);
                out.prefixed(data);
            }
            credit => put_credit(credit, out),
        }
    }
}

/// The frames that speak of limits: all of them a type and one or two numbers.
#[inline]
fn put_credit(frame: &Frame<'_>, out: &mut impl Put) {
    match frame {
        Frame::MaxData { limit } => numbers(out, [kind::MAX_DATA, *limit]),
        Frame::MaxStreamData { id, limit } => numbers(out, [kind::MAX_STREAM_DATA, id.0, *limit]),
        Frame::MaxStreams { dir: Dir::Bi, limit } => numbers(out, [kind::MAX_STREAMS_BI, *limit]),
        Frame::MaxStreams { dir: Dir::Uni, limit } => numbers(out, [kind::MAX_STREAMS_UNI, *limit]),
        Frame::CreditRecall { target, total } => {
            numbers(out, [kind::CREDIT_RECALL, target.to_u64(), *total]);
        }
        Frame::CreditReturned { target, total } => {
            numbers(out, [kind::CREDIT_RETURNED, target.to_u64(), *total]);
        }
        Frame::DataBlocked { limit } => numbers(out, [kind::DATA_BLOCKED, *limit]),
        Frame::StreamDataBlocked { id, limit } => {
            numbers(out, [kind::STREAM_DATA_BLOCKED, id.0, *limit]);
        }
        Frame::StreamsBlocked { dir: Dir::Bi, limit } => {
            numbers(out, [kind::STREAMS_BLOCKED_BI, *limit]);
        }
        Frame::StreamsBlocked { dir: Dir::Uni, limit } => {
            numbers(out, [kind::STREAMS_BLOCKED_UNI, *limit]);
        }
        _ => debug_assert!(false, "{frame:?} is not about credit"),
    }
}

#[inline]
fn numbers<const N: usize>(out: &mut impl Put, values: [u64; N]) {
    for value in values {
        out.varint(value);
    }
}

fn put_ip(ip: IpAddr, out: &mut impl Put) {
    match ip {
        IpAddr::V4(ip) => {
            out.u8(4);
            out.bytes(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.u8(6);
            out.bytes(&ip.octets());
        }
    }
}

impl StreamFrame<'_> {
    /// Bytes of the form with a length.
    pub(super) fn encoded_len(&self) -> usize {
        let mut length = Length::default();
        self.put(Extent::Counted, &mut length);
        length.0
    }

    fn put(&self, extent: Extent, out: &mut impl Put) {
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        let counted = extent == Extent::Counted;
        out.varint(
            kind::STREAM
                | flag(self.fin, kind::STREAM_FIN)
                | flag(counted, kind::STREAM_LEN)
                | flag(self.offset != 0, kind::STREAM_OFFSET),
        );
        out.varint(self.id.0);
        if self.offset != 0 {
            out.varint(self.offset);
        }
        if counted {
            out.varint(self.data.len() as u64);
        }
        out.bytes(self.data);
    }
}

impl ResetFrame {
    fn put(&self, out: &mut impl Put) {
        let Self { id, code, hop, final_size, reliable_size } = *self;
        numbers(out, [kind::RESET, id.0, code.on_wire(), hop, final_size, reliable_size]);
    }
}

impl NewCidFrame {
    fn put(&self, out: &mut impl Put) {
        numbers(out, [kind::NEW_CID, self.sequence]);
        out.bytes(&self.cid.0);
        out.bytes(&self.reset_token);
    }
}

impl CloseFrame<'_> {
    fn put(&self, out: &mut impl Put) {
        match self.code {
            CloseCode::Transport(code) => numbers(out, [kind::CLOSE_TRANSPORT, code]),
            CloseCode::App(code) => numbers(out, [kind::CLOSE_APP, code.on_wire()]),
        }
        out.prefixed(self.reason.get(..MAX_REASON).unwrap_or(self.reason));
    }
}

impl AckFrame<'_> {
    fn put(&self, out: &mut impl Put) {
        self.put_head(self.ranges().count().saturating_sub(1), out);
        out.bytes(self.ranges);
        self.put_ecn(out);
    }

    /// Puts the frame with `more` in place of its own ranges behind the first; there are `count`.
    pub(super) fn put_with(
        &self,
        more: impl Iterator<Item = (u64, u64)>,
        count: usize,
        out: &mut impl Put,
    ) {
        self.put_head(count, out);
        for (gap, length) in more {
            numbers(out, [gap, length]);
        }
        self.put_ecn(out);
    }

    fn put_head(&self, more: usize, out: &mut impl Put) {
        let kind = if self.ecn.is_some() { kind::ACK_ECN } else { kind::ACK };
        numbers(out, [kind, self.largest.0, self.delay_us, more as u64, self.first]);
    }

    fn put_ecn(&self, out: &mut impl Put) {
        if let Some(ecn) = self.ecn {
            numbers(out, [ecn.ect0, ecn.ect1, ecn.ce]);
        }
    }
}
