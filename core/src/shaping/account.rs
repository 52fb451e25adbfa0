//! Bytes by direction and class, to the byte.

/// What a datagram is for, with all of its bytes (spec R-SHP-2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the three classes of the specification")]
pub enum Class {
    /// What keeps connections alive, and what is urgent. Waits for nothing.
    #[default]
    Control,
    /// What people wait for.
    Normal,
    /// What may take its time.
    Bulk,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Control, Self::Normal, Self::Bulk];

    /// Its name in figures.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

/// Bytes of datagrams handed to carriers and taken from them, by class, and what was dropped for
/// want of room. Counts only grow.
///
/// ```
/// use aqueduct_core::shaping::{Bandwidth, Class};
///
/// let mut bandwidth = Bandwidth::default();
/// bandwidth.on_sent(Class::Bulk, 1_452);
/// bandwidth.on_received(Class::Control, 40);
/// assert_eq!(bandwidth.sent(Class::Bulk), 1_452);
/// assert_eq!((bandwidth.sent_in_all(), bandwidth.received_in_all()), (1_452, 40));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Bandwidth {
    sent: [u64; 3],
    received: [u64; 3],
    dropped: [u64; 3],
}

impl Bandwidth {
    /// Bytes of a class that were sent.
    pub const fn sent(&self, class: Class) -> u64 {
        self.sent[class as usize]
    }

    /// Bytes of a class that were received.
    pub const fn received(&self, class: Class) -> u64 {
        self.received[class as usize]
    }

    /// Bytes that were sent.
    pub fn sent_in_all(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// Bytes that were received.
    pub fn received_in_all(&self) -> u64 {
        self.received.iter().sum()
    }

    /// Unreliable datagrams of a class that were dropped before they were sent: their queue was
    /// full.
    pub const fn dropped(&self, class: Class) -> u64 {
        self.dropped[class as usize]
    }

    /// `bytes` of a class leave.
    pub const fn on_sent(&mut self, class: Class, bytes: u64) {
        self.sent[class as usize] += bytes;
    }

    /// `bytes` of a class came.
    pub const fn on_received(&mut self, class: Class, bytes: u64) {
        self.received[class as usize] += bytes;
    }

    /// So many datagrams were dropped for want of room.
    pub const fn on_dropped(&mut self, class: Class, datagrams: u64) {
        self.dropped[class as usize] += datagrams;
    }

    /// Takes in what others counted.
    pub fn add(&mut self, other: &Self) {
        for class in Class::ALL {
            self.on_sent(class, other.sent(class));
            self.on_received(class, other.received(class));
            self.on_dropped(class, other.dropped(class));
        }
    }
}
