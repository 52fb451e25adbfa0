//! Counters of what no connection counts.

use super::totals::Endings;

/// What strangers did and what the endpoint holds. Counters since the endpoint began, but for
/// those that say "now".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
#[non_exhaustive]
pub struct EndpointStats {
    /// Datagrams taken in.
    pub datagrams: u64,
    /// Datagrams of no form that we know.
    pub malformed: u64,
    /// Datagrams whose connection id names no connection, or that opened under no key.
    pub strays: u64,
    /// Handshake packets that were discarded: a wrong mac or tag, or nobody waits for them.
    pub handshake_discarded: u64,
    /// First packets that were seen before.
    pub duplicates: u64,
    /// First packets dropped for a limit.
    pub over_limit: u64,
    /// Retries sent.
    pub retries: u64,
    /// Version packets sent.
    pub versions: u64,
    /// Stateless resets sent.
    pub resets: u64,
    /// Handshakes refused as busy.
    pub refused_busy: u64,
    /// First packets that were worth curve operations.
    pub handshakes_opened: u64,
    /// Unfinished handshakes now.
    pub half_open: u32,
    /// Connections now.
    pub connections: u32,
    /// Connections begun by this side.
    pub dialled: u64,
    /// Strangers that were taken in.
    pub accepted: u64,
    /// Connections, of both kinds, whose handshake was completed.
    pub established: u64,
    /// Connections that ended, by why.
    pub ended: Endings,
    /// Bytes of the budget that connections have now.
    pub budget_committed: u64,
    /// Bytes that the budget has in all.
    pub budget_total: u64,
    /// Pipes now.
    pub pipes: u32,
    /// Bytes that pipes hold now; they are among those of their sources' connections.
    pub pipe_bytes: u64,
    /// Pipes that were begun.
    pub pipes_begun: u64,
    /// Bytes that pipes took from their sources.
    pub piped_bytes: u64,
    /// The most that one pipe held at a time.
    pub pipe_bytes_max: u64,
    /// Pipes that this node ended because nothing happened to them for too long.
    pub pipes_timed_out: u64,
    /// Pipes that this node ended because more came than it passes on: their own limit, or what
    /// their owner allows.
    pub pipes_refused: u64,
    /// Legs of pipes that this node gave up because they were too slow.
    pub legs_detached: u64,
}
