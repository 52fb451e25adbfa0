//! What became of a connection's datagrams and keys, in numbers.

/// What became of datagrams and keys. Failed opens change nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct KeyCounters {
    /// Packets sealed.
    pub sealed: u64,
    /// Packets opened and delivered.
    pub opened: u64,
    /// Datagrams that are no packets of this kind: too short or another form.
    pub not_data: u64,
    /// Packets whose tag was wrong.
    pub failed: u64,
    /// Packets that were authentic and known already.
    pub replayed: u64,
    /// Packets that were authentic and below the replay window.
    pub below_window: u64,
    /// Packets of a phase whose key is gone.
    pub old_phase: u64,
    /// Key updates begun by this side.
    pub updates_started: u64,
    /// Key updates of the peer that were followed.
    pub updates_followed: u64,
}

impl KeyCounters {
    /// Takes in what others counted.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.sealed += other.sealed;
        self.opened += other.opened;
        self.not_data += other.not_data;
        self.failed += other.failed;
        self.replayed += other.replayed;
        self.below_window += other.below_window;
        self.old_phase += other.old_phase;
        self.updates_started += other.updates_started;
        self.updates_followed += other.updates_followed;
    }
}

#[cfg(any(test, feature = "fingerprint"))]
impl KeyCounters {
    /// Goes back to `before` in all that a discarded packet may change (spec R-EP-45).
    pub(crate) const fn overlook_discards(&mut self, before: &Self) {
        self.not_data = before.not_data;
        self.failed = before.failed;
        self.old_phase = before.old_phase;
        self.replayed = before.replayed;
        self.below_window = before.below_window;
    }
}
