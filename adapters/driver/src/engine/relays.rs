//! Streams that concern whoever relays: they go to the relay, untouched, or are refused.

use aqueduct_core::crypto::identity::NodeId;
use aqueduct_core::endpoint::ConnectionHandle;
use aqueduct_core::error::StreamCode;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::StreamId;
use aqueduct_core::wire::protocol::{ANSWER, RANGE, ROUTE};

use crate::connection::Connection;
use crate::hub::Relayed;
use crate::recv::RecvShared;
use crate::wait::lock;

use super::Engine;

impl Engine {
    /// Whether a stream is not the application's: one with a route, a request for a range, or,
    /// while this node relays, an answer.
    pub(super) fn is_for_relay(&self, info: &OpenOptions) -> bool {
        match info.protocol {
            StreamProtocol::Number(ROUTE | RANGE) => true,
            StreamProtocol::Number(ANSWER) => lock(&self.shared.state).relayed.is_some(),
            _ => false,
        }
    }

    /// Gives a stream to the relay, with everything that it holds still in the core.
    pub(super) fn divert(
        &mut self,
        handle: ConnectionHandle,
        id: StreamId,
        info: Option<OpenOptions>,
    ) {
        let Some(slot) = self.slot(handle) else { return };
        let connection = slot.shared.to_handle();
        let (send, recv) = slot.halves_of_theirs(id, info);
        if let Some(inlet) = slot.streams.get_mut(&id).and_then(|halves| halves.recv.as_mut()) {
            inlet.withheld = true;
        }
        let relayed = connection.map(|connection| Relayed { connection, send, recv });
        let (refused, wakers) = {
            let mut state = lock(&self.shared.state);
            match (&mut state.relayed, relayed) {
                (Some(diverted), Some(relayed)) => {
                    diverted.waiting.push_back(relayed);
                    (None, Some(state.relays.take()))
                }
                (_, refused) => (Some(refused), None),
            }
        };
        if let Some(wakers) = wakers {
            wakers.wake();
        }
        if let Some(refused) = refused {
            drop(refused);
            self.refuse_stream(handle, id);
        }
    }

    fn refuse_stream(&mut self, handle: ConnectionHandle, id: StreamId) {
        let code = StreamCode::Refused.app();
        let Some(mut connection) = self.core.connection(handle) else { return };
        if let Some(mut stream) = connection.recv(id) {
            stream.stop(code);
        }
        if let Some(mut stream) = connection.send(id) {
            stream.reset(code);
        }
    }

    /// The application takes a stream after all.
    pub(super) fn adopt(&mut self, recv: &RecvShared) {
        let Some(&handle) = recv.connection.handle.get() else { return };
        let Some(slot) = self.slot(handle) else { return };
        let halves = slot.streams.get_mut(&recv.id);
        if let Some(inlet) = halves.and_then(|halves| halves.recv.as_mut()) {
            inlet.withheld = false;
        }
        self.pump_recv(handle, recv.id);
        if let Some(slot) = self.slot(handle)
            && let Some(error) = slot.over.clone()
            && let Some(halves) = slot.streams.remove(&recv.id)
        {
            halves.end(&error);
        }
    }

    /// A connection with a node, if there is one that lives.
    pub(super) fn find(&self, id: NodeId) -> Option<Connection> {
        let slots = self.slots.iter().flatten().filter(|slot| slot.over.is_none());
        let mut handles = slots.filter_map(|slot| {
            let live = slot.closing.is_none() && lock(&slot.shared.state).connected;
            slot.shared.to_handle().filter(|_| live)
        });
        handles.find(|connection| connection.peer() == id)
    }
}
