//! Small values until the peer has them: reliability written once, used everywhere.
//!
//! ```text
//!          set              write            on_acked
//!   Idle ───────▶ Pending ─────────▶ InFlight ───────▶ Delivered
//!                    ▲                  │
//!                    └──────────────────┘
//!                          on_lost
//! ```
//!
//! [`Once`] takes a single value and keeps it to the end. [`Latest`] may be given a new value in
//! any state; it then starts again at `Pending`, and receipts of older values mean nothing any
//! more. Neither knows of frames: `write` calls back with the value, and the callback says whether
//! it found room for it.

/// A value that must arrive, and that never changes once it is set (spec R-REC-2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Once<T> {
    delivery: Delivery<T>,
}

impl<T> Once<T> {
    /// Nothing to deliver yet.
    pub const fn new() -> Self {
        Self { delivery: Delivery::Idle }
    }

    /// Wants `value` delivered. Returns whether it was taken: the first value stays.
    pub fn set(&mut self, value: T) -> bool {
        let idle = matches!(self.delivery, Delivery::Idle);
        if idle {
            self.delivery = Delivery::Pending(value);
        }
        idle
    }

    /// The value, once set.
    pub const fn value(&self) -> Option<&T> {
        self.delivery.value()
    }

    /// Whether [`Once::write`] would write.
    pub const fn is_pending(&self) -> bool {
        matches!(self.delivery, Delivery::Pending(_))
    }

    /// Whether a copy is under way whose fate is not known.
    pub const fn is_in_flight(&self) -> bool {
        matches!(self.delivery, Delivery::InFlight(_))
    }

    /// Whether the peer has it.
    pub const fn is_delivered(&self) -> bool {
        matches!(self.delivery, Delivery::Delivered(_))
    }

    /// If the value waits to be sent, offers it to `send`, which says whether it was written.
    /// Returns whether anything was written.
    pub fn write(&mut self, send: impl FnOnce(&T) -> bool) -> bool {
        self.delivery.write(send)
    }

    /// A copy arrived. Counts even if it had been declared lost.
    pub fn on_acked(&mut self) {
        self.delivery.on_acked();
    }

    /// The copy under way was lost.
    pub fn on_lost(&mut self) {
        self.delivery.on_lost();
    }
}

/// A value of which only the newest counts, such as a limit (spec R-REC-3).
///
/// Receipts carry the value that was sent; a receipt for any other than the newest is ignored. For
/// this to be exact a value must not return after another took its place (limits only grow).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Latest<T> {
    delivery: Delivery<T>,
}

impl<T: PartialEq> Latest<T> {
    /// Nothing to deliver yet.
    pub const fn new() -> Self {
        Self { delivery: Delivery::Idle }
    }

    /// The peer knows `value` already (it was in the handshake, or is what both begin with).
    pub const fn delivered(value: T) -> Self {
        Self { delivery: Delivery::Delivered(value) }
    }

    /// Wants `value` delivered in place of what was. Returns whether it is a new value.
    pub fn set(&mut self, value: T) -> bool {
        let new = self.value() != Some(&value);
        if new {
            self.delivery = Delivery::Pending(value);
        }
        new
    }

    /// The newest value.
    pub const fn value(&self) -> Option<&T> {
        self.delivery.value()
    }

    /// Whether [`Latest::write`] would write.
    pub const fn is_pending(&self) -> bool {
        matches!(self.delivery, Delivery::Pending(_))
    }

    /// Whether a copy of the newest value is under way whose fate is not known.
    pub const fn is_in_flight(&self) -> bool {
        matches!(self.delivery, Delivery::InFlight(_))
    }

    /// Whether the peer has the newest value.
    pub const fn is_delivered(&self) -> bool {
        matches!(self.delivery, Delivery::Delivered(_))
    }

    /// If the newest value waits to be sent, offers it to `send`, which says whether it was
    /// written. Returns whether anything was written.
    pub fn write(&mut self, send: impl FnOnce(&T) -> bool) -> bool {
        self.delivery.write(send)
    }

    /// A copy of `value` arrived.
    pub fn on_acked(&mut self, value: &T) {
        if self.value() == Some(value) {
            self.delivery.on_acked();
        }
    }

    /// A copy of `value` was lost.
    pub fn on_lost(&mut self, value: &T) {
        if self.value() == Some(value) {
            self.delivery.on_lost();
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
enum Delivery<T> {
    #[default]
    Idle,
    Pending(T),
    InFlight(T),
    Delivered(T),
}

impl<T> Delivery<T> {
    const fn value(&self) -> Option<&T> {
        match self {
            Self::Idle => None,
            Self::Pending(value) | Self::InFlight(value) | Self::Delivered(value) => Some(value),
        }
    }

    fn write(&mut self, send: impl FnOnce(&T) -> bool) -> bool {
        match core::mem::replace(self, Self::Idle) {
            Self::Pending(value) if send(&value) => {
                *self = Self::InFlight(value);
                true
            }
            unchanged => {
                *self = unchanged;
                false
            }
        }
    }

    fn on_acked(&mut self) {
        *self = match core::mem::replace(self, Self::Idle) {
            Self::Pending(value) | Self::InFlight(value) => Self::Delivered(value),
            unchanged => unchanged,
        };
    }

    fn on_lost(&mut self) {
        *self = match core::mem::replace(self, Self::Idle) {
            Self::InFlight(value) => Self::Pending(value),
            unchanged => unchanged,
        };
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
