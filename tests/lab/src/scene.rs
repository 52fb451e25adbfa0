//! The four nodes, what they do, and what is measured of them.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::connection::EventKind;
use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::{ConnectionHandle, Leg, PipeEventKind, PipeId, StreamAddr};
use aqueduct_core::pipe::LegPolicy;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{Dir, StreamId};
use aqueduct_tests::app::{App, introduction};
use aqueduct_tests::link::{LinkConfig, Queue};
use aqueduct_tests::net::{HostId, Net};
use aqueduct_tests::relay::{Forwarding, Relay};

use crate::lane::{Flight, Flights, Lane, Settings, millis};

/// Links: up to the relay, from it to B, from it to C.
pub const LINKS: usize = 3;
/// Names of the nodes, in the order of their hosts.
const NAMES: [&str; 4] = ["source", "relay", "B", "C"];
/// Each link's ends: who dials, and who is dialed.
const ENDS: [(usize, usize); LINKS] = [(0, 1), (1, 2), (1, 3)];
/// Bytes of each file that the source sends; the next follows when one is delivered.
const FILE: usize = 2 << 20;
/// How often something is measured.
const SAMPLE: Duration = Duration::from_millis(10);
/// How long a lost connection rests before it is dialed again.
const REST: Duration = Duration::from_secs(1);
/// What the relay holds of a file whatever its rate, and what it keeps for who comes back.
const STOCK: u64 = 256 * 1024;
/// Numbers of each link in a sample.
pub const PER_LINK: usize = 5;
/// Numbers in a sample: the time; of each link window, flight, round trip, sent and lost; what the
/// relay holds, what B and C hold, what reached B and C.
pub const PER_SAMPLE: usize = 1 + LINKS * PER_LINK + 5;

/// The connection over a link, as its dialer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Dialing(ConnectionHandle),
    Up(ConnectionHandle),
    /// To be dialed again.
    Down(Instant),
}

impl Way {
    const fn handle(&self) -> Option<ConnectionHandle> {
        match self {
            Self::Dialing(handle) | Self::Up(handle) => Some(*handle),
            Self::Down(_) => None,
        }
    }
}

/// What the source sends now.
#[derive(Clone, Copy, Debug)]
struct File {
    stream: StreamId,
    connection: ConnectionHandle,
}

/// All of it.
pub struct Lab {
    net: Net,
    source: App,
    relay: Relay,
    sinks: [App; 2],
    links: [Rc<RefCell<Settings>>; LINKS],
    flights: Flights,
    ways: [Way; LINKS],
    began: Instant,
    /// Files begun; the number of one is that of its text.
    files: u64,
    file: Option<File>,
    /// Streams of each sink that were seen to end.
    ended: [usize; 2],
    /// Bytes that late legs passed over, and bytes that reached each sink.
    skipped: [u64; 2],
    arrived: [u64; 2],
    next_sample: Instant,
    samples: Vec<f64>,
    diary: String,
}

impl Lab {
    /// Four nodes that dial each other now, on links of these settings; `detach`: a slow receiver
    /// is given up, else the source waits for it.
    pub fn new(seed: u64, settings: [Settings; LINKS], detach: bool) -> Self {
        let mut net = Net::new(seed, LinkConfig::default());
        let began = net.now;
        let host = |net: &mut Net, number: u8| {
            let config = EndpointConfig::new(NodeKey::from_seed(&[number + 1; 32]));
            let config = config.with_timer_granularity(Duration::from_nanos(1));
            net.add(config, seed ^ (u64::from(number) + 1) << 32)
        };
        let hosts = [0, 1, 2, 3].map(|number| host(&mut net, number));
        let (links, flights) = (settings.map(|one| Rc::new(RefCell::new(one))), Flights::default());
        for (number, (from, to)) in ENDS.into_iter().enumerate() {
            for (back, way) in [(0, [from, to]), (1, [to, from])] {
                let lane = Lane {
                    number: number as u8 * 2 + back,
                    settings: links[number].clone(),
                    flights: flights.clone(),
                    began,
                    queue: Queue::bytes(1, 0),
                };
                let stage = net.place(lane);
                net.set_road(hosts[way[0]], hosts[way[1]], &[stage]);
            }
        }
        let mut relay = Relay::new(hosts[1], Forwarding::CutThrough);
        relay.options.policy = if detach { LegPolicy::DETACH } else { LegPolicy::Stall };
        (relay.options.stock, relay.options.keep) = (STOCK, STOCK);
        let ways = ENDS.map(|(from, to)| Way::Dialing(net.connect(hosts[from], hosts[to])));
        Self {
            source: App::new(hosts[0]),
            relay,
            sinks: [App::new(hosts[2]), App::new(hosts[3])],
            net,
            links,
            flights,
            ways,
            began,
            files: 0,
            file: None,
            ended: [0; 2],
            skipped: [0; 2],
            arrived: [0; 2],
            next_sample: began,
            samples: Vec::new(),
            diary: String::new(),
        }
    }

    /// What a link does from now on.
    pub fn set(&mut self, link: usize, change: impl FnOnce(&mut Settings)) {
        if let Some(settings) = self.links.get(link) {
            let before = settings.borrow().cut;
            change(&mut settings.borrow_mut());
            let after = settings.borrow().cut;
            if before != after {
                let (from, to) = ENDS[link];
                let what = if after { "cut" } else { "mended" };
                let words = format!("the link from {} to {} is {what}", NAMES[from], NAMES[to]);
                self.note(&words);
            }
        }
    }

    /// Time since it began.
    pub fn time(&self) -> Duration {
        self.net.now.saturating_since(self.began)
    }

    /// Lets time pass up to `time` after the beginning. In how many pieces does not matter.
    pub fn advance(&mut self, time: Duration) {
        let until = self.began + time;
        loop {
            self.act();
            if self.net.now >= self.next_sample {
                self.measure();
            }
            if !self.net.step(until.min(self.next_sample)) && self.net.now >= until {
                break;
            }
        }
    }

    /// A digest of every datagram so far, with times and addresses.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.net.wire_fingerprint()
    }

    /// Flights since this was last asked.
    pub fn take_flights(&mut self) -> Vec<Flight> {
        std::mem::take(&mut self.flights.borrow_mut())
    }

    /// Samples since this was last asked, [`PER_SAMPLE`] numbers each.
    pub fn take_samples(&mut self) -> Vec<f64> {
        std::mem::take(&mut self.samples)
    }

    /// What happened since this was last asked: a line each, with its time in milliseconds.
    pub fn take_diary(&mut self) -> String {
        std::mem::take(&mut self.diary)
    }

    /// Bytes that reached each receiver and were found right.
    pub const fn arrived(&self) -> [u64; 2] {
        self.arrived
    }

    fn note(&mut self, words: &str) {
        let at = millis(self.began, self.net.now);
        writeln!(self.diary, "{at:.1} {words}").expect("a string takes all");
    }

    /// Everybody takes his news and acts on them.
    fn act(&mut self) {
        self.source.turn(&mut self.net);
        self.relay.turn(&mut self.net);
        self.sinks.iter_mut().for_each(|sink| sink.turn(&mut self.net));
        self.see_ways();
        self.see_pipes();
        self.see_files();
    }

    /// Connections that came and went.
    fn see_ways(&mut self) {
        let (source, here) = (&self.source, self.ways[0].handle());
        let diary = here.map(|handle| source.diary(handle)).unwrap_or_default();
        if let (true, Way::Dialing(handle)) = (diary.connected, self.ways[0]) {
            self.on_up(0, handle);
        }
        if let (Some(reason), Some(_)) = (diary.closed, here) {
            self.on_down(0, &reason.to_string());
        }
        for (handle, kind) in std::mem::take(&mut self.relay.events) {
            let link = (1..LINKS).find(|link| self.ways[*link].handle() == Some(handle));
            match (link, kind) {
                (Some(link), EventKind::Connected) => self.on_up(link, handle),
                (Some(link), EventKind::Closed(why)) => self.on_down(link, &why.to_string()),
                _ => {}
            }
        }
        for (way, (from, to)) in self.ways.iter_mut().zip(ENDS) {
            if matches!(way, Way::Down(until) if *until <= self.net.now) {
                *way = Way::Dialing(self.net.connect(HostId(from), HostId(to)));
            }
        }
    }

    fn on_up(&mut self, link: usize, handle: ConnectionHandle) {
        self.ways[link] = Way::Up(handle);
        let (from, to) = ENDS[link];
        self.note(&format!("{} and {} are connected", NAMES[from], NAMES[to]));
        if link > 0 {
            self.relay.next.push(handle);
            self.rejoin(link, handle);
        }
    }

    fn on_down(&mut self, link: usize, why: &str) {
        // Handles are an endpoint's own: the source's may look like one of the relay's.
        if let Some(handle) = self.ways[link].handle().filter(|_| link > 0) {
            self.relay.next.retain(|next| *next != handle);
        }
        self.ways[link] = Way::Down(self.net.now + REST);
        let (from, to) = ENDS[link];
        self.note(&format!("{} and {}: {why}", NAMES[from], NAMES[to]));
    }

    /// A receiver that is back joins what is under way, from where the relay still holds it.
    fn rejoin(&mut self, link: usize, handle: ConnectionHandle) {
        let Some((id, salt)) = self.live_pipe() else { return };
        let policy = self.relay.options.policy;
        let host = self.net.host(self.relay.host);
        let from = host.endpoint.piped(id).map(|pipe| pipe.held_from()).unwrap_or_default();
        let Some(mut options) = introduction(salt).forwarded() else { return };
        options.start = from;
        let view = host.endpoint.connection(handle);
        let opened = view.and_then(|mut view| view.open(Dir::Uni, options).ok());
        let Some(stream) = opened else { return };
        let leg = Leg::Stream(StreamAddr { connection: handle, stream });
        let joined = host.endpoint.piped(id).map(|mut pipe| pipe.add_leg(leg, policy));
        let name = NAMES[ENDS[link].1];
        match joined {
            Some(Ok(_)) => {
                self.skipped[link - 1] += from;
                self.note(&format!("{name} joins file {salt} at {} KiB", from / 1024));
            }
            Some(Err(why)) => self.note(&format!("{name} cannot join file {salt}: {why}")),
            None => {}
        }
    }

    /// The pipe of the file that is under way at the relay, and which one it is: the source may
    /// have begun the next.
    fn live_pipe(&mut self) -> Option<(PipeId, u64)> {
        let (id, from) = (*self.relay.pipes.last()?, *self.relay.piped.last()?);
        let endpoint = &mut self.net.host(self.relay.host).endpoint;
        endpoint.piped(id)?;
        let view = endpoint.connection(from.connection)?;
        let head = view.stream_info(from.stream)?.head.first_chunk::<8>().copied()?;
        Some((id, u64::from_be_bytes(head)))
    }

    fn see_pipes(&mut self) {
        for event in std::mem::take(&mut self.relay.news) {
            if let PipeEventKind::LegEnded { leg, end, sent } = event.kind {
                let words =
                    format!("the relay's leg {} ended at {} KiB: {end}", leg.0, sent / 1024);
                self.note(&words);
            }
        }
    }

    /// Files that ended, and the next one.
    fn see_files(&mut self) {
        for (sink, name) in [(0, NAMES[2]), (1, NAMES[3])] {
            let over = |flow: &&aqueduct_tests::app::Inflow| flow.finished || flow.reset.is_some();
            let ended = self.sinks[sink].inn.iter().filter(over).count();
            if ended > self.ended[sink] {
                self.ended[sink] = ended;
                let flow = self.sinks[sink].inn.iter().rfind(over).expect("one of these");
                let (file, read) = (flow.salt().unwrap_or_default(), flow.read);
                let words = match flow.finished {
                    true => format!("{name} has file {file} to its end, every byte checked"),
                    false => format!("{name}: file {file} was given up at {} KiB", read / 1024),
                };
                self.note(&words);
            }
        }
        if let Some(file) = self.file {
            let flow = self.source.outflow(file.connection, file.stream);
            let over = flow.is_none_or(|flow| flow.delivered || flow.stopped);
            let gone = self.ways[0] != Way::Up(file.connection);
            if over || gone {
                self.file = None;
                self.source.out.clear();
            }
        }
        let receivers = self.ways[1..].iter().any(|way| matches!(way, Way::Up(_)));
        let starting = self.files == 0 && !self.ways.iter().all(|way| matches!(way, Way::Up(_)));
        if let (None, Way::Up(connection), true, false) =
            (self.file, self.ways[0], receivers, starting)
        {
            self.files += 1;
            let salt = self.files;
            let stream = self.source.write(&mut self.net, connection, Dir::Uni, salt, FILE);
            self.file = Some(File { stream, connection });
            self.note(&format!("the source begins file {salt}"));
        }
    }

    /// Takes a sample.
    fn measure(&mut self) {
        self.next_sample = self.net.now + SAMPLE;
        self.samples.push(millis(self.began, self.net.now));
        for (link, (from, _)) in ENDS.into_iter().enumerate() {
            let endpoint = &mut self.net.hosts[from].endpoint;
            let handle = match self.ways[link] {
                Way::Up(handle) => Some(handle),
                _ => None,
            };
            let stats = handle.and_then(|handle| endpoint.connection(handle)).map(|c| c.stats());
            let stats = stats.unwrap_or_default();
            self.samples.extend([
                stats.congestion_window as f64,
                stats.bytes_in_flight as f64,
                stats.rtt.as_nanos() as f64 / 1e6,
                stats.ledger.packets_sent as f64,
                stats.ledger.lost as f64,
            ]);
        }
        let held = |host: usize| {
            let connections = self.net.hosts[host].endpoint.connections();
            connections.map(|(_, connection)| connection.stats().bytes_held).sum::<u64>() as f64
        };
        let held = [held(1), held(2), held(3)];
        self.samples.extend(held);
        for sink in 0..2 {
            let read = self.sinks[sink].read().saturating_sub(self.skipped[sink]);
            self.arrived[sink] = self.arrived[sink].max(read);
            self.samples.push(self.arrived[sink] as f64);
        }
    }
}
