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
    sent: ByClass,
    received: ByClass,
    dropped: ByClass,
}

impl Bandwidth {
    /// Bytes of a class that were sent.
    pub const fn sent(&self, class: Class) -> u64 {
        self.sent.of(class)
    }

    /// Bytes of a class that were received.
    pub const fn received(&self, class: Class) -> u64 {
        self.received.of(class)
    }

    /// Bytes that were sent.
    pub const fn sent_in_all(&self) -> u64 {
        self.sent.sum()
    }

    /// Bytes that were received.
    pub const fn received_in_all(&self) -> u64 {
        self.received.sum()
    }

    /// Unreliable datagrams of a class that were dropped before they were sent: their queue was
    /// full.
    pub const fn dropped(&self, class: Class) -> u64 {
        self.dropped.of(class)
    }

    /// `bytes` of a class leave.
    pub const fn on_sent(&mut self, class: Class, bytes: u64) {
        *self.sent.of_mut(class) += bytes;
    }

    /// `bytes` of a class came.
    pub const fn on_received(&mut self, class: Class, bytes: u64) {
        *self.received.of_mut(class) += bytes;
    }

    /// So many datagrams were dropped for want of room.
    pub const fn on_dropped(&mut self, class: Class, datagrams: u64) {
        *self.dropped.of_mut(class) += datagrams;
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
struct ByClass {
    control: u64,
    normal: u64,
    bulk: u64,
}

impl ByClass {
    const fn of(&self, class: Class) -> u64 {
        match class {
            Class::Control => self.control,
            Class::Normal => self.normal,
            Class::Bulk => self.bulk,
        }
    }

    const fn of_mut(&mut self, class: Class) -> &mut u64 {
        match class {
            Class::Control => &mut self.control,
            Class::Normal => &mut self.normal,
            Class::Bulk => &mut self.bulk,
        }
    }

    const fn sum(&self) -> u64 {
        self.control + self.normal + self.bulk
    }
}
