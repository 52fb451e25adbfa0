//! Unreliable datagrams of a connection.

use std::time::Instant;

use aqueduct_core::message::Delivery;
use bytes::Bytes;

use crate::error::{ConnectionError, DatagramError};
use crate::given::{DATAGRAM_OUTBOX, Given};
use crate::wait::{lock, until};

use super::{ConnState, Connection, DATAGRAM_INBOX};

impl Connection {
    /// Queues an unreliable datagram; never waits.
    ///
    /// # Errors
    /// It does not fit, the queue of its class is full, the peer takes none, or the connection is
    /// over.
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), DatagramError> {
        self.send_datagram_with(datagram, Delivery::new())
    }

    /// The same, as soon and as long as `delivery` says.
    ///
    /// # Errors
    /// Those of [`Connection::send_datagram`].
    pub fn send_datagram_with(
        &self,
        datagram: Bytes,
        delivery: Delivery,
    ) -> Result<(), DatagramError> {
        queue_datagram(&mut lock(self.state()), &mut Some(datagram), delivery)?;
        self.shared().mark();
        Ok(())
    }

    /// The same, but waits for room in the queue. Cancel-safe: queued or not, never both.
    ///
    /// # Errors
    /// It does not fit, the peer takes none, or the connection is over.
    pub async fn send_datagram_wait(&self, datagram: Bytes) -> Result<(), DatagramError> {
        let mut datagram = Some(datagram);
        let put = until(
            self.state(),
            |state| &mut state.waiting.datagrams_out,
            |state| match queue_datagram(state, &mut datagram, Delivery::new()) {
                Err(DatagramError::Full { .. }) => None,
                done => Some(done),
            },
        );
        put.await?;
        self.shared().mark();
        Ok(())
    }

    /// The next unreliable datagram. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over and every datagram was taken.
    pub async fn read_datagram(&self) -> Result<Bytes, ConnectionError> {
        let look = |state: &mut ConnState| {
            let full = state.inbox.datagrams.len() >= DATAGRAM_INBOX;
            let found = state.inbox.datagrams.pop_front().map(|datagram| (datagram, full));
            state.or_end(found)
        };
        let (datagram, full) =
            until(self.state(), |state| &mut state.waiting.datagrams_in, look).await?;
        if full {
            self.shared().mark();
        }
        Ok(datagram)
    }
}

fn queue_datagram(
    state: &mut ConnState,
    datagram: &mut Option<Bytes>,
    delivery: Delivery,
) -> Result<(), DatagramError> {
    if let Some(error) = state.error() {
        return Err(error.into());
    }
    let max = state.max_datagram.ok_or(DatagramError::Unsupported)?;
    let len = datagram.as_ref().map_or(0, Bytes::len);
    if len > max {
        return Err(DatagramError::TooLarge { len, max });
    }
    let now = Instant::now();
    if !state.wishes.datagrams.has_room(delivery.priority, now) {
        return Err(DatagramError::Full { limit: DATAGRAM_OUTBOX });
    }
    if let Some(datagram) = datagram.take() {
        state.wishes.datagrams.push(Given::new(datagram, delivery, now));
    }
    Ok(())
}
