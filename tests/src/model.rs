//! What must hold of every endpoint, looked at after every step of every run.
//!
//! | invariant | where |
//! |---|---|
//! | what goes into flight fits the window, but for probes, which are counted | [`Model::look`] |
//! | flight size is the sum of the ledger's packets | [`Model::look`] |
//! | the next packet number never falls | [`Model::look`] |
//! | no packet number, so no nonce, is used twice | `wiretap`, off the wire |
//! | what a peer is granted and makes us hold fits its share; shares fit | [`Model::look`] |
//! | nobody is flooded: three times what came from an address | [`crate::guard`] |
//! | an endpoint's deadline is later than now | [`crate::net::Net::step`] |
//! | a connection's deadline is later than now | [`Model::look`] |
//! | every byte once, in order, as it was written | [`crate::app`] |
//! | memory that is really held | the test binary `memory`, by its allocator |

use std::collections::BTreeMap;

use aqueduct_core::connection::Audit;
use aqueduct_core::endpoint::{ConnectionHandle, Endpoint};
use aqueduct_core::time::Instant;

use crate::net::HostId;

/// What was seen of a connection last.
#[derive(Clone, Copy, Debug)]
struct Seen {
    audit: Audit,
    look: u64,
}

/// Watches all endpoints of a network.
#[derive(Clone, Debug, Default)]
pub struct Model {
    seen: BTreeMap<(HostId, ConnectionHandle), Seen>,
    looks: u64,
}

impl Model {
    /// An endpoint has nothing more to say; it is `now` by its clock. Of itself it says no instant
    /// that has passed, whatever its connections wish for: so these are asked.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn look(&mut self, host: HostId, endpoint: &Endpoint, now: Instant) {
        self.looks += 1;
        let stats = endpoint.stats();
        assert!(
            stats.budget_committed <= stats.budget_total,
            "host {}: {} of {} committed",
            host.0,
            stats.budget_committed,
            stats.budget_total
        );
        let mut shares = 0;
        for (handle, connection) in endpoint.connections() {
            let audit = connection.audit();
            shares += audit.share;
            let late = audit.wakes.is_some_and(|at| at <= now);
            assert!(!late, "host {}: a wish for {now:?} or before: {audit:?}", host.0);
            let seen = Seen { audit, look: self.looks };
            let before = self.seen.insert((host, handle), seen);
            compare(host, before.map(|seen| seen.audit), &audit);
        }
        assert!(
            shares <= stats.budget_total,
            "host {}: {shares} shared out of {}",
            host.0,
            stats.budget_total
        );
        if self.looks.is_multiple_of(4_096) {
            let looks = self.looks;
            self.seen.retain(|_, seen| seen.look + 8_192 > looks);
        }
    }

    /// A host is another from now on.
    pub fn forget(&mut self, host: HostId) {
        self.seen.retain(|(of, _), _| *of != host);
    }
}

/// What may have become of a connection between two looks.
fn compare(host: HostId, before: Option<Audit>, now: &Audit) {
    assert!(now.flight_is_sum, "host {}: flight is not the sum: {now:?}", host.0);
    assert!(now.granted <= now.share, "host {}: more granted than its share: {now:?}", host.0);
    let most = now.share + now.records;
    assert!(now.held <= most, "host {}: more held than its share: {now:?}", host.0);
    let Some(before) = before else { return };
    assert!(now.next_number >= before.next_number, "host {}: {before:?} {now:?}", host.0);
    let grew = now.bounded && now.path == before.path && now.flight > before.flight;
    // A window may have shrunk under what was in flight; what is added then is counted apart.
    let most = now.window.max(before.window).max(before.flight) + now.beside - before.beside;
    assert!(!grew || now.flight <= most, "host {}: beyond the window: {before:?} {now:?}", host.0);
}
