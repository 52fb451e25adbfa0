//! What one end says of its account with the other, for explorers that see both.

use alloc::vec::Vec;

use crate::wire::id::StreamId;

use super::Connection;

/// Credit of one end at one moment, of the whole connection (`id` is `None`) and of each stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// As a sender.
    pub spent: Vec<Spent>,
    /// As a receiver.
    pub granted: Vec<Granted>,
    /// Bytes that the peer gave back of what it was granted.
    pub returned: u64,
    /// Key updates of this end's packets, and of the peer's as far as they came; `None` without
    /// keys.
    pub phases: Option<(u64, u64)>,
}

/// What a sender may do, and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "two numbers of one account")]
pub struct Spent {
    /// Of this stream, or of all together.
    pub id: Option<StreamId>,
    /// What it believes to be allowed, in bytes from the beginning.
    pub limit: u64,
    /// What it used.
    pub used: u64,
}

/// What a receiver granted, and got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "two numbers of one account")]
pub struct Granted {
    /// Of this stream, or of all together.
    pub id: Option<StreamId>,
    /// What it granted and did not get back, in bytes from the beginning.
    pub limit: u64,
    /// What arrived.
    pub used: u64,
}

impl Connection {
    /// Its accounts as they stand now.
    pub fn witness(&self) -> Witness {
        let all = &self.allowed;
        let mut spent = Vec::from([Spent { id: None, limit: all.limit(), used: all.used() }]);
        spent.extend(self.streams.allowances().map(|(id, credit)| Spent {
            id: Some(id),
            limit: credit.limit(),
            used: credit.used(),
        }));
        let all = &self.credit;
        let mut granted =
            Vec::from([Granted { id: None, limit: all.limit(), used: all.arrived() }]);
        granted.extend(self.streams.credits().map(|credit| Granted {
            id: Some(credit.id()),
            limit: credit.limit(),
            used: credit.highest(),
        }));
        let keys = self.lifecycle.session().map(|session| &session.keys);
        let phases = keys.map(|keys| (keys.send_phase().0, keys.receive_phase().0));
        Witness { spent, granted, returned: all.given_back(), phases }
    }
}
