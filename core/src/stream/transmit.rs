//! What goes out, and what became of it.

use super::scheduler::{Order, Priority};
use super::send::{LEAST_FRAME, Then};
use super::table::{ACKED, DELIVERED, Opening, Place};
use super::{RecvAccount, Streams};
use crate::flow::SendCredit;
use crate::wire::frame::SentFrame;
use crate::wire::id::{CreditTarget, StreamId};
use crate::wire::packet::{Allowance, PacketWriter};

impl Streams {
    /// Writes what the streams have: first control frames (RESET, STOP, credit) as they fell due,
    /// then OPEN, SKIP and STREAM by class and turn. `credit` is what the peer allows on the
    /// connection.
    pub fn write(&mut self, packet: &mut PacketWriter<'_>, credit: &mut SendCredit) {
        if packet.allowance() == Allowance::Everything {
            for class in self.begin_packet(Order::Usual, packet, credit) {
                if self.write_class(*class, packet, credit) {
                    break;
                }
            }
            self.end_packet(packet);
        }
    }

    /// Begins a packet that may hold everything, with the control frames. Gives the classes that
    /// are to follow by [`Streams::write_class`], in this order.
    pub fn begin_packet(
        &mut self,
        order: Order,
        packet: &mut PacketWriter<'_>,
        credit: &SendCredit,
    ) -> &'static [Priority] {
        self.counts.iter_mut().for_each(|count| count.write(packet));
        self.packet += 1;
        self.write_control(packet);
        self.wake_starved(credit);
        self.scheduler.begin_packet(order)
    }

    /// Whether a stream of `class` may have something to write. Errs only towards true.
    pub fn has_turn(&self, class: Priority) -> bool {
        self.scheduler.front(class).is_some()
    }

    /// Writes OPEN, SKIP and STREAM of one class, by turn. Returns whether the packet is full.
    pub fn write_class(
        &mut self,
        class: Priority,
        packet: &mut PacketWriter<'_>,
        credit: &mut SendCredit,
    ) -> bool {
        while let Some((id, turn)) = self.scheduler.front(class) {
            let Some(slot) = self.table.get_mut(id) else {
                self.scheduler.pop(class);
                continue;
            };
            if !slot.write_open(packet, self.packet) {
                return true;
            }
            let Some(half) = &mut slot.send else {
                self.scheduler.pop(class);
                continue;
            };
            let (bytes, then) = half.write_body(packet, credit, turn);
            self.stats.resent += core::mem::take(&mut half.resent);
            match then {
                Then::Again | Then::Full => self.scheduler.wrote(class, bytes),
                Then::Idle => {
                    slot.place = Place::Out;
                    self.scheduler.pop(class);
                    slot.note_blocked(&mut self.blocked);
                }
                Then::Starved => {
                    slot.place = Place::Starved;
                    self.scheduler.pop(class);
                    self.starved.push_back(id);
                    self.starved_at = credit.limit();
                }
            }
            if !slot.in_control && slot.control_is_due() {
                slot.in_control = true;
                self.control.push_back(id);
            }
            if then == Then::Full || packet.room() < LEAST_FRAME {
                return true;
            }
        }
        false
    }

    /// Ends the packet: with what only became due by what was just written (a reset behind its
    /// promise, a BLOCKED).
    pub fn end_packet(&mut self, packet: &mut PacketWriter<'_>) {
        self.write_control(packet);
    }

    /// Whether [`Streams::write`] may have something to write. Errs only towards true.
    pub fn may_write(&self, credit: &SendCredit) -> bool {
        !self.control.is_empty()
            || !self.scheduler.is_empty()
            || (!self.starved.is_empty() && credit.limit() > self.starved_at)
            || self.counts.iter().any(SendCredit::is_pending)
    }

    fn write_control(&mut self, packet: &mut PacketWriter<'_>) {
        while let Some(id) = self.control.front().copied() {
            if let Some(slot) = self.table.get_mut(id) {
                if !slot.write_control(packet, self.packet) {
                    return;
                }
                slot.in_control = false;
            }
            self.control.pop_front();
        }
    }

    /// The connection's credit was raised: who waited for it is in turn again.
    fn wake_starved(&mut self, credit: &SendCredit) {
        if self.starved.is_empty() || credit.limit() <= self.starved_at {
            return;
        }
        while let Some(id) = self.starved.pop_front() {
            if let Some(slot) = self.table.get_mut(id).filter(|s| s.place == Place::Starved) {
                slot.place = Place::Out;
                self.file(id);
            }
        }
    }

    /// A frame of [`Streams::write`] arrived. Receipts of other parts are ignored.
    pub fn on_acked(&mut self, frame: &SentFrame, account: &mut RecvAccount<'_>) {
        let Some(id) = named(frame) else {
            self.counts.iter_mut().for_each(|count| count.on_acked(frame));
            return;
        };
        let Some(slot) = self.table.get_mut(id) else { return };
        let delivered = match (frame, &mut slot.opening, &mut slot.send) {
            (SentFrame::Stop(_) | SentFrame::MaxStreamData(..), ..) => {
                slot.recv.iter_mut().for_each(|half| half.on_acked(frame));
                return;
            }
            (SentFrame::Open(_), Opening::Ours { sent, .. }, Some(half)) => {
                sent.on_acked();
                half.on_introduced()
            }
            (_, _, Some(half)) => half.on_acked(frame),
            _ => false,
        };
        if delivered {
            slot.news |= DELIVERED;
        }
        let reports = slot.send.as_ref().is_some_and(|half| half.reports);
        if reports {
            slot.news |= ACKED;
        }
        let room = self.config.send_buffer;
        let half = slot.send.as_ref();
        let news = reports || half.is_some_and(|half| half.is_over() || half.has_news(room));
        if news && self.file(id) {
            self.retire(id, account);
        }
    }

    /// A frame of [`Streams::write`] was lost. Receipts of other parts are ignored.
    pub fn on_lost(&mut self, frame: &SentFrame) {
        let Some(id) = named(frame) else {
            self.counts.iter_mut().for_each(|count| count.on_lost(frame));
            return;
        };
        let Some(slot) = self.table.get_mut(id) else { return };
        match (frame, &mut slot.opening) {
            (SentFrame::Open(_), Opening::Ours { sent, .. }) => sent.on_lost(),
            (SentFrame::Open(_), _) => {}
            (SentFrame::Stop(_) | SentFrame::MaxStreamData(..), _) => {
                slot.recv.iter_mut().for_each(|half| half.on_lost(frame));
            }
            _ => slot.send.iter_mut().for_each(|half| half.on_lost(frame)),
        }
        self.file(id);
    }
}

/// The stream that a receipt of ours names.
fn named(frame: &SentFrame) -> Option<StreamId> {
    match frame {
        SentFrame::Open(id)
        | SentFrame::Stream { id, .. }
        | SentFrame::Skip { id, .. }
        | SentFrame::Reset(id)
        | SentFrame::Stop(id)
        | SentFrame::MaxStreamData(id, _)
        | SentFrame::StreamDataBlocked(id, _)
        | SentFrame::CreditReturned(CreditTarget::Stream(id), _) => Some(*id),
        _ => None,
    }
}
