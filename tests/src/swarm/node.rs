//! The application of a host: it reads what ends here, and pipes what goes on.

use std::collections::{BTreeMap, BTreeSet};

use aqueduct_core::endpoint::{
    ConnectionHandle, Endpoint, Leg, PipeError, PipeEventKind, PipeId, StreamAddr,
};
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::PipeOptions;
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::{Dir, StreamId};

use crate::app::{App, Reading, introduction};
use crate::net::HostId;

/// What goes on wherever there is a way on.
pub(super) fn onward(salt: u64) -> OpenOptions {
    OpenOptions { protocol: StreamProtocol::name("onward"), ..introduction(salt) }
}

/// An application, and its pipes.
pub(super) struct Node {
    pub(super) app: App,
    /// Live connections to neighbours.
    pub(super) neighbours: BTreeSet<ConnectionHandle>,
    /// Connections with rogues.
    pub(super) rogues: BTreeSet<ConnectionHandle>,
    pub(super) pipes: Vec<PipeId>,
    pub(super) ended: usize,
    options: PipeOptions,
}

impl Node {
    pub(super) fn new(host: HostId, reading: Reading, options: PipeOptions) -> Self {
        let mut app = App::new(host);
        app.reading = reading;
        let (neighbours, rogues) = (BTreeSet::new(), BTreeSet::new());
        Self { app, neighbours, rogues, pipes: Vec::new(), ended: 0, options }
    }

    /// Streams came: each is read here or piped on.
    pub(super) fn accept(&mut self, endpoint: &mut Endpoint, connection: ConnectionHandle) {
        while let Some(stream) = endpoint.connection(connection).and_then(|mut c| c.accept()) {
            let view = endpoint.connection(connection).expect("it spoke");
            let info = view.stream_info(stream).cloned();
            drop(view);
            let onward = |info: &OpenOptions| info.protocol == StreamProtocol::name("onward");
            let ways = self.ways_on(endpoint, connection);
            match info.filter(onward).filter(|_| !ways.is_empty()) {
                Some(info) => self.pipe(endpoint, connection, stream, &info, &ways),
                None => self.app.adopt(endpoint, connection, stream),
            }
        }
    }

    /// Connections with all neighbours but the one that is there already: with that one there may
    /// be two, while the older is not given up.
    fn ways_on(&self, endpoint: &Endpoint, from: ConnectionHandle) -> Vec<ConnectionHandle> {
        let mut peers = BTreeMap::new();
        for (handle, view) in endpoint.connections() {
            peers.insert(handle, view.peer());
        }
        let others = self.neighbours.iter().filter(|way| peers.get(way) != peers.get(&from));
        others.copied().collect()
    }

    fn pipe(
        &mut self,
        endpoint: &mut Endpoint,
        connection: ConnectionHandle,
        stream: StreamId,
        info: &OpenOptions,
        ways: &[ConnectionHandle],
    ) {
        let mut legs = Vec::new();
        for way in ways {
            let Some(options) = info.forwarded() else { break };
            let opened = endpoint.connection(*way).map(|mut view| view.open(Dir::Uni, options));
            if let Some(Ok(stream)) = opened {
                legs.push(Leg::Stream(StreamAddr { connection: *way, stream }));
            }
        }
        let from = StreamAddr { connection, stream };
        let pipe = if legs.is_empty() {
            Err(PipeError::NoLegs)
        } else {
            endpoint.pipe(from, &legs, self.options)
        };
        match pipe {
            Ok(pipe) => self.pipes.push(pipe),
            Err(error) => {
                let known = matches!(error, PipeError::NoLegs | PipeError::NoStream(_));
                assert!(known, "no pipe: {error}");
                give_up(endpoint, from, legs);
            }
        }
    }

    pub(super) fn on_pipe(&mut self, kind: PipeEventKind) {
        self.ended += usize::from(matches!(kind, PipeEventKind::Ended(_)));
    }
}

/// A stream that cannot go on: its sender hears so, and those opened for it end.
fn give_up(endpoint: &mut Endpoint, from: StreamAddr, legs: Vec<Leg>) {
    let code = StreamCode::Unreachable.app();
    if let Some(mut view) = endpoint.connection(from.connection)
        && let Some(mut reading) = view.recv(from.stream)
    {
        reading.stop(code);
    }
    for leg in legs {
        let Leg::Stream(StreamAddr { connection, stream }) = leg else { continue };
        if let Some(mut view) = endpoint.connection(connection)
            && let Some(mut sending) = view.send(stream)
        {
            sending.reset(code);
        }
    }
}
