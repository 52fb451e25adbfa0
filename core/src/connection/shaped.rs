//! What class the connection's bytes are of, and what it may send under a limit (spec
//! `26-shaping.md`).

use crate::congestion::Algorithm;
use crate::shaping::{Bandwidth, Class, Grant};
use crate::stream::{Order, Priority};
use crate::time::Instant;
use crate::wire::frame::Frame;
use crate::wire::id::PathId;

use super::{Connection, SendLimit};

impl Connection {
    /// Bytes of datagrams, handed to carriers for it and come for it, by direction and class.
    pub const fn bandwidth(&self) -> Bandwidth {
        self.bandwidth
    }

    /// The class of what has this priority (spec R-SHP-2).
    pub(super) fn class_of(&self, priority: Priority) -> Class {
        match priority {
            Priority::Urgent => Class::Control,
            Priority::Normal if self.controller() != Algorithm::Ledbat => Class::Normal,
            Priority::Normal | Priority::Bulk => Class::Bulk,
        }
    }

    /// The class that a frame which was just taken gives its packet (spec R-SHP-3); `None` if none.
    pub(super) fn class_of_frame(&self, frame: &Frame<'_>) -> Option<Class> {
        let priority = match frame {
            Frame::Stream(_) => self.streams.heard(),
            Frame::Open(open) => open.priority.map_or(Priority::Normal, Priority::from_byte),
            Frame::Datagram { .. } => Priority::Normal,
            _ => return None,
        };
        Some(self.class_of(priority))
    }

    /// Which streams may write under a grant.
    pub(super) const fn order(grant: Grant) -> Order {
        match grant {
            Grant::Free => Order::Usual,
            Grant::Control { urgent: true } => Order::UrgentAlone,
            Grant::Control { urgent: false } => Order::Nobody,
            Grant::Turn { first: Class::Bulk, .. } => Order::LowestFirst,
            Grant::Turn { .. } => Order::HighestFirst,
        }
    }

    /// All is sent that may be sent under `grant`, though the path would take more.
    pub(super) fn on_all_sent(&mut self, grant: Grant, path: PathId, now: Instant) {
        let control = matches!(grant, Grant::Control { .. });
        if control && (self.datagrams.is_pending() || self.streams.may_write(&self.allowed)) {
            self.limit.set(SendLimit::Rate, now);
            // What is measured now says little of the path (spec R-SHP-11).
            self.ledger.on_app_limited(path);
        } else if !self.datagrams.is_pending() && !self.streams.may_write(&self.allowed) {
            // What found no room in the last packet goes with the next.
            self.on_nothing_left(path, now);
        }
    }

    /// Whether it has something to send, and only the limit keeps it from that.
    pub(crate) fn is_held(&self) -> bool {
        self.limit.now() == SendLimit::Rate
    }
}
