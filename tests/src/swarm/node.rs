//! The application of a host: it reads what ends here, and pipes what goes on.

use std::collections::{BTreeMap, BTreeSet};

use aqueduct_core::endpoint::{
    ConnectionHandle, Endpoint, Leg, PipeError, PipeEvent, PipeEventKind, PipeId, StreamAddr,
};
use aqueduct_core::error::StreamCode;
use aqueduct_core::pipe::{LegError, PipeOptions};
use aqueduct_core::stream::{OpenOptions, StreamProtocol};
use aqueduct_core::wire::id::{Dir, StreamId};

use super::weigh::Limits;
use crate::app::{App, Reading, introduction};
use crate::net::HostId;
use crate::rogue::SMUGGLED;

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
    /// Pipes of what rogues send on that have not ended, and how many there were.
    pub(super) smuggles: BTreeSet<PipeId>,
    pub(super) smuggled: usize,
    /// What came of that here. Nobody looks at its bytes.
    contraband: BTreeSet<(ConnectionHandle, StreamId)>,
    options: PipeOptions,
    /// Where what pipes carry comes from, and how it was introduced, while they last.
    sources: BTreeMap<PipeId, (ConnectionHandle, OpenOptions)>,
    pub(super) limits: Limits,
}

impl Node {
    pub(super) fn new(host: HostId, reading: Reading, options: PipeOptions) -> Self {
        let mut app = App::new(host);
        app.reading = reading;
        Self {
            app,
            neighbours: BTreeSet::new(),
            rogues: BTreeSet::new(),
            pipes: Vec::new(),
            ended: 0,
            smuggles: BTreeSet::new(),
            smuggled: 0,
            contraband: BTreeSet::new(),
            options,
            sources: BTreeMap::new(),
            limits: Limits::default(),
        }
    }

    /// Streams came: each is read here or piped on.
    pub(super) fn accept(&mut self, endpoint: &mut Endpoint, connection: ConnectionHandle) {
        while let Some(stream) = endpoint.connection(connection).and_then(|mut c| c.accept()) {
            if self.goes_on(endpoint, connection, stream) {
                continue;
            }
            match is_smuggled(endpoint, connection, stream) {
                true => self.seize(endpoint, connection, stream),
                false => self.app.adopt(endpoint, connection, stream),
            }
        }
    }

    /// Pipes a stream on if it is to go on, and there is a way. Returns whether.
    pub(super) fn goes_on(
        &mut self,
        endpoint: &mut Endpoint,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> bool {
        let view = endpoint.connection(connection).expect("it spoke");
        let onward = |info: &OpenOptions| info.protocol == StreamProtocol::name("onward");
        let Some(info) = view.stream_info(stream).cloned().filter(onward) else { return false };
        drop(view);
        let ways = self.ways_on(endpoint, connection);
        if !ways.is_empty() {
            self.pipe(endpoint, connection, stream, &info, &ways);
        }
        !ways.is_empty()
    }

    /// Reads what a rogue sent on, here and whenever more of it comes.
    fn seize(&mut self, endpoint: &mut Endpoint, connection: ConnectionHandle, stream: StreamId) {
        self.contraband.insert((connection, stream));
        read_away(endpoint, connection, stream);
    }

    /// There is something to be read. Returns whether it was a rogue's.
    pub(super) fn reads_away(
        &self,
        endpoint: &mut Endpoint,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> bool {
        let is = self.contraband.contains(&(connection, stream));
        if is {
            read_away(endpoint, connection, stream);
        }
        is
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
        let smuggled = smuggled(info);
        match pipe {
            Ok(pipe) if smuggled => {
                self.smuggled += 1;
                self.smuggles.insert(pipe);
            }
            Ok(pipe) => {
                self.pipes.push(pipe);
                self.sources.insert(pipe, (connection, info.clone()));
            }
            Err(error) => {
                let known = matches!(error, PipeError::NoLegs | PipeError::NoStream(_));
                assert!(known, "no pipe: {error}");
                give_up(endpoint, from, legs);
            }
        }
    }

    pub(super) fn on_pipe(&mut self, event: &PipeEvent) {
        if !matches!(event.kind, PipeEventKind::Ended(_)) {
            return;
        }
        self.sources.remove(&event.pipe);
        if !self.smuggles.remove(&event.pipe) {
            self.ended += 1;
        }
    }

    /// One of the pipes that there are gets another leg, which begins where something is still
    /// held. Returns whether there is one more.
    pub(super) fn join_late(&mut self, endpoint: &mut Endpoint, pick: usize) -> bool {
        let pick = pick.checked_rem(self.sources.len()).and_then(|at| self.sources.iter().nth(at));
        let Some((pipe, (from, info))) = pick else { return false };
        let ways = self.ways_on(endpoint, *from);
        let start = endpoint.piped(*pipe).map(|pipe| pipe.held_from());
        let (Some(way), Some(start)) = (ways.first(), start) else { return false };
        let Some(options) = info.forwarded() else { return false };
        let options = OpenOptions { start: start.max(info.start), ..options };
        let opened = endpoint.connection(*way).map(|mut view| view.open(Dir::Uni, options));
        let Some(Ok(stream)) = opened else { return false };
        let leg = Leg::Stream(StreamAddr { connection: *way, stream });
        let policy = self.options.policy;
        let added = endpoint.piped(*pipe).map(|mut pipe| pipe.add_leg(leg, policy));
        match added {
            Some(Ok(_)) => return true,
            Some(Err(error)) => {
                let known = matches!(error, PipeError::Leg(LegError::Over));
                assert!(known, "no late leg: {error}");
            }
            None => {}
        }
        reset(endpoint, leg);
        false
    }
}

/// Whether a rogue introduced it.
fn smuggled(info: &OpenOptions) -> bool {
    info.head.first_chunk() == Some(&SMUGGLED.to_be_bytes())
}

fn is_smuggled(endpoint: &mut Endpoint, connection: ConnectionHandle, stream: StreamId) -> bool {
    let view = endpoint.connection(connection);
    view.is_some_and(|view| view.stream_info(stream).is_some_and(smuggled))
}

/// Takes all that there is of a stream, whatever it is.
pub(super) fn read_away(endpoint: &mut Endpoint, connection: ConnectionHandle, stream: StreamId) {
    let Some(mut view) = endpoint.connection(connection) else { return };
    let Some(mut stream) = view.recv(stream) else { return };
    while let Ok(Some(chunk)) = stream.take_any(usize::MAX) {
        stream.release(chunk.data.len() as u64);
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
    legs.into_iter().for_each(|leg| reset(endpoint, leg));
}

/// A stream that was opened for a pipe ends.
fn reset(endpoint: &mut Endpoint, leg: Leg) {
    let Leg::Stream(StreamAddr { connection, stream }) = leg else { return };
    if let Some(mut view) = endpoint.connection(connection)
        && let Some(mut sending) = view.send(stream)
    {
        sending.reset(StreamCode::Unreachable.app());
    }
}
