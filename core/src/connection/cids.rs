//! Connection ids: those that the peer addresses us by, and those that we address it by.
//!
//! Ours are made from the connection's slot by the endpoint's key, so that routing needs no table;
//! the peer's are a short list, one in use on each path (spec `10-endpoint.md`).

use smallvec::SmallVec;

use crate::crypto::cid::{CidCodec, CidFields};
use crate::crypto::reset::{ResetKey, ResetToken};
use crate::error::{TransportCode, Violation};
use crate::range_set::RangeSet;
use crate::wire::frame::{Frame, NewCidFrame};
use crate::wire::id::{ConnectionId, PathId};
use crate::wire::packet::PacketWriter;

/// Ids that we give out and hold at a time, on either side (spec R-EP-4).
pub(crate) const ACTIVE: u64 = 4;

/// Ids of the peer that were retired and whose RETIRE_CID is not acknowledged, at most (spec
/// R-EP-7).
const MAX_RETIRING: usize = 32;

/// Makes a connection's own ids.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct CidSource {
    /// Permutes ids.
    pub(crate) codec: CidCodec,
    /// Derives reset tokens.
    pub(crate) reset: ResetKey,
    /// Where the connection lives.
    pub(crate) shard: u8,
    /// Its slot.
    pub(crate) slot: u32,
    /// Its slot's generation.
    pub(crate) generation: u16,
}

impl CidSource {
    /// The id with an index.
    pub(crate) fn id(&self, index: u8) -> ConnectionId {
        let fields = CidFields::new(self.shard, self.slot, self.generation, index);
        debug_assert!(
            fields.is_some(),
            "the slab keeps slots within 18 bits, the configuration shards"
        );
        fields.map_or(ConnectionId::ZERO, |fields| self.codec.encode(fields))
    }

    /// What a reset for `cid` ends with.
    pub(crate) fn reset_token(&self, cid: &ConnectionId) -> [u8; 16] {
        self.reset.token(*cid).0
    }
}

/// The ids that the peer may address us by.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct LocalCids {
    source: CidSource,
    next: u64,
    next_index: u8,
    active: SmallVec<[LocalCid; 8]>,
    unsent: SmallVec<[u64; 8]>,
    limit: u64,
}

/// An id that was given out: the peer calls it by its sequence number, packets carry its index.
#[derive(Clone, Copy)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct LocalCid {
    sequence: u64,
    index: u8,
}

impl LocalCids {
    /// Begins with id 0, which the handshake carried.
    pub(crate) fn new(source: CidSource) -> Self {
        let active = SmallVec::from_iter([LocalCid { sequence: 0, index: 0 }]);
        Self { source, next: 1, next_index: 1, active, unsent: SmallVec::new(), limit: 1 }
    }

    /// The peer holds up to `limit` ids: give it that many, or [`ACTIVE`] if fewer.
    pub(crate) fn on_peer_limit(&mut self, limit: u64) {
        self.limit = limit.min(ACTIVE);
        self.issue();
    }

    fn issue(&mut self) {
        while (self.active.len() as u64) < self.limit {
            // The index comes round after 256 ids; one that is still in use is passed over.
            while self.accepts(self.next_index) {
                self.next_index = self.next_index.wrapping_add(1);
            }
            self.active.push(LocalCid { sequence: self.next, index: self.next_index });
            self.unsent.push(self.next);
            self.next += 1;
            self.next_index = self.next_index.wrapping_add(1);
        }
    }

    /// Whether a packet addressed by the id with this index is for a live id.
    pub(crate) fn accepts(&self, index: u8) -> bool {
        self.active.iter().any(|active| active.index == index)
    }

    /// The id of the handshake.
    pub(crate) fn first(&self) -> ConnectionId {
        self.source.id(0)
    }

    /// RETIRE_CID: the peer will not use an id any more; it gets another.
    pub(crate) fn on_retire(&mut self, sequence: u64) -> Result<(), Violation> {
        if sequence >= self.next {
            let what = "retired a connection id that was never issued";
            return Err(Violation::new(TransportCode::ConnectionIdLimit, what));
        }
        self.active.retain(|held| held.sequence != sequence);
        self.unsent.retain(|held| *held != sequence);
        self.issue();
        Ok(())
    }

    /// Writes NEW_CID for each id that the peer has not been told.
    pub(crate) fn write(&mut self, packet: &mut PacketWriter<'_>) {
        while let Some(&sequence) = self.unsent.first() {
            let known = self.active.iter().find(|active| active.sequence == sequence);
            let Some(LocalCid { index, .. }) = known else {
                debug_assert!(false, "an id that is to be told is active");
                self.unsent.remove(0);
                continue;
            };
            let cid = self.source.id(*index);
            let reset_token = self.source.reset_token(&cid);
            if !packet.write(&Frame::NewCid(NewCidFrame { sequence, cid, reset_token })) {
                return;
            }
            self.unsent.remove(0);
        }
    }

    /// A NEW_CID was lost.
    pub(crate) fn on_lost(&mut self, sequence: u64) {
        let active = self.active.iter().any(|active| active.sequence == sequence);
        if active && !self.unsent.contains(&sequence) {
            self.unsent.push(sequence);
        }
    }
}

#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct RemoteCid {
    sequence: u64,
    cid: ConnectionId,
    token: ResetToken,
    /// Where it is in use: more than one path only after [`RemoteCids::share`].
    paths: SmallVec<[PathId; 1]>,
}

/// The ids that we may address the peer by.
#[derive(Clone)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub(crate) struct RemoteCids {
    known: SmallVec<[RemoteCid; 8]>,
    retired: RangeSet,
    /// Retired, and the peer has not acknowledged that it was told.
    retiring: SmallVec<[u64; 8]>,
    /// Of those, the ones to be told (again).
    untold: SmallVec<[u64; 8]>,
}

impl RemoteCids {
    /// Begins with the peer's id of the handshake, in use on `path`.
    pub(crate) fn new(cid: ConnectionId, token: [u8; 16], path: PathId) -> Self {
        let token = ResetToken(token);
        let first = RemoteCid { sequence: 0, cid, token, paths: SmallVec::from_iter([path]) };
        let known = SmallVec::from_iter([first]);
        let (retiring, untold) = (SmallVec::new(), SmallVec::new());
        Self { known, retired: RangeSet::new(), retiring, untold }
    }

    /// NEW_CID: one more id of the peer.
    pub(crate) fn on_new(&mut self, frame: &NewCidFrame) -> Result<(), Violation> {
        let fail = |what| Err(Violation::new(TransportCode::ConnectionIdLimit, what));
        if self.retired.contains(frame.sequence) {
            return Ok(());
        }
        if let Some(old) = self.known.iter().find(|known| known.sequence == frame.sequence) {
            let same = old.cid == frame.cid && old.token == ResetToken(frame.reset_token);
            return if same { Ok(()) } else { fail("one sequence number for two connection ids") };
        }
        if self.known.iter().any(|known| known.cid == frame.cid) {
            return fail("one connection id under two sequence numbers");
        }
        if frame.sequence >= self.retired.len() + ACTIVE || self.known.len() as u64 >= ACTIVE {
            return fail("more connection ids than the limit");
        }
        if self.retiring.len() >= MAX_RETIRING {
            return fail("connection ids used up without acknowledging it");
        }
        let NewCidFrame { sequence, cid, reset_token } = *frame;
        let (token, paths) = (ResetToken(reset_token), SmallVec::new());
        self.known.push(RemoteCid { sequence, cid, token, paths });
        Ok(())
    }

    /// The id in use on `path`, taking an unused one for a path that has none yet. `None`: no id is
    /// left (spec R-EP-5).
    pub(crate) fn of_path(&mut self, path: PathId) -> Option<ConnectionId> {
        if let Some(known) = self.known.iter().find(|known| known.paths.contains(&path)) {
            return Some(known.cid);
        }
        let unused = self.known.iter_mut().find(|known| known.paths.is_empty())?;
        unused.paths.push(path);
        Some(unused.cid)
    }

    /// Whether there is an id for `path`, of its own or unused.
    pub(crate) fn can_address(&self, path: PathId) -> bool {
        self.known.iter().any(|known| known.paths.is_empty() || known.paths.contains(&path))
    }

    /// `path` uses the id of `other` as well. Whether there is one.
    pub(crate) fn share(&mut self, path: PathId, other: PathId) -> bool {
        let known = self.known.iter_mut().find(|known| known.paths.contains(&other));
        known.map(|known| known.paths.push(path)).is_some()
    }

    /// A path is gone: an id that was in use there and nowhere else is retired, never to be used on
    /// another.
    pub(crate) fn on_path_gone(&mut self, path: PathId) {
        let Some(at) = self.known.iter().position(|known| known.paths.contains(&path)) else {
            return;
        };
        if let Some(known) = self.known.get_mut(at) {
            known.paths.retain(|used| *used != path);
        }
        if self.known.get(at).is_some_and(|known| known.paths.is_empty()) {
            let gone = self.known.remove(at);
            self.retired.insert(gone.sequence..gone.sequence + 1);
            self.retiring.push(gone.sequence);
            self.untold.push(gone.sequence);
        }
    }

    /// Writes RETIRE_CID for each id that was retired.
    pub(crate) fn write(&mut self, packet: &mut PacketWriter<'_>) {
        while let Some(&sequence) = self.untold.first() {
            if !packet.write(&Frame::RetireCid { sequence }) {
                return;
            }
            self.untold.remove(0);
        }
    }

    /// A RETIRE_CID was lost.
    pub(crate) fn on_lost(&mut self, sequence: u64) {
        if self.retiring.contains(&sequence) && !self.untold.contains(&sequence) {
            self.untold.push(sequence);
        }
    }

    /// A RETIRE_CID arrived.
    pub(crate) fn on_acked(&mut self, sequence: u64) {
        self.retiring.retain(|retiring| *retiring != sequence);
        self.untold.retain(|untold| *untold != sequence);
    }

    /// The reset tokens by which the peer may say that it forgot the connection.
    pub(crate) fn reset_tokens(&self) -> impl Iterator<Item = &ResetToken> {
        self.known.iter().map(|known| &known.token)
    }
}

#[cfg(test)]
#[path = "cids_tests.rs"]
mod tests;
