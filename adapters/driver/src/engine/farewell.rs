//! The last words of a driver that cannot wait for anything any more.

use aqueduct_core::endpoint::Output;
use aqueduct_core::wire::id::AppCode;

use crate::endpoint::UDP;

use super::{Engine, FAREWELL_REPLIES, FAREWELL_TRANSMITS, Wire};

impl Engine {
    /// Ends every connection now and sends what that takes, without waiting: for a driver that is
    /// dropped with its runtime, or out of time while it closes, so that peers hear it, with the
    /// code of that, and not only the silence.
    pub fn farewell(&mut self, wire: &mut impl Wire) {
        // Who closed it just before is not to be heard as a driver that was dropped.
        self.run_commands();
        let now = self.clock.now();
        let dropped = || (AppCode(0), b"the endpoint was dropped".to_vec());
        let (code, reason) = self.closing.clone().unwrap_or_else(dropped);
        for slot in self.slots.iter().flatten() {
            if let Some(mut connection) = self.core.connection(slot.handle) {
                connection.abort(code, &reason, now);
            }
        }
        if self.outbox.is_blocked() {
            // What is kept goes first, if the socket has room now; nobody can wait for it.
            self.outbox.retry(wire, &self.shared.counters);
            self.core.carrier_writable(UDP, now);
        }
        // News have an end by themselves: no datagram comes in any more.
        let mut left = self.live.saturating_mul(FAREWELL_TRANSMITS) + FAREWELL_REPLIES;
        while left > 0 {
            // A line that is full or broken has told the core a later time than that of the start.
            match self.core.poll(&mut self.buf, self.clock.now()) {
                Output::Transmit(transmit) => {
                    left -= 1;
                    if transmit.carrier != UDP {
                        self.write_line(wire, &transmit);
                        continue;
                    }
                    let counters = &self.shared.counters;
                    let _last = self.outbox.send(wire, counters, &transmit, &mut self.buf);
                }
                Output::Wait(_) => return,
                Output::Event(_) | Output::Pipe(_) | Output::Incoming(_) => {}
            }
        }
    }
}
