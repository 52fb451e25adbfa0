//! One endpoint without a network: datagrams are handed to it and taken from it by hand.

use std::net::SocketAddr;

use aqueduct_core::config::EndpointConfig;
use aqueduct_core::crypto::provider::Provider;
use aqueduct_core::endpoint::{
    CarrierKind, ConnectionHandle, Datagram, Endpoint, Event, EventKind, Incoming, Output,
    PeerAddr, Transmit,
};
use aqueduct_core::rng::Seed;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::header::{Class, LongHeader, PacketType, classify};
use aqueduct_core::wire::id::ConnectionId;

use crate::net::UDP;

/// Everything that an endpoint said until it wanted to wait.
#[derive(Debug, Default)]
pub struct Said {
    /// Datagrams, one each, with where they go.
    pub datagrams: Vec<(SocketAddr, Vec<u8>)>,
    /// News.
    pub events: Vec<Event>,
    /// Offers.
    pub incoming: Vec<Incoming>,
    /// When it wants to be woken.
    pub wait: Option<Instant>,
}

impl Said {
    /// The types of the long packets among the datagrams; `None` stands for a short one.
    pub fn kinds(&self) -> Vec<Option<PacketType>> {
        self.datagrams.iter().map(|(_, bytes)| kind(bytes)).collect()
    }

    /// The kinds of news.
    pub fn news(&self) -> Vec<EventKind> {
        self.events.iter().map(|event| event.kind.clone()).collect()
    }
}

/// An endpoint with one UDP socket.
pub fn endpoint(config: EndpointConfig, seed: u64, now: Instant) -> Endpoint {
    let mut endpoint = Endpoint::new(config, Seed::from_u64(seed));
    let kind = CarrierKind::Udp { max_segments: 16, max_datagram: 65_507 };
    endpoint.carrier_opened(UDP, kind, now);
    endpoint
}

/// Polls an endpoint until it wants to wait.
pub fn drain(endpoint: &mut Endpoint, now: Instant) -> Said {
    let mut said = Said::default();
    let mut buf = Vec::new();
    loop {
        match endpoint.poll(&mut buf, now) {
            Output::Event(event) => said.events.push(event),
            Output::Pipe(_) => {}
            Output::Incoming(incoming) => said.incoming.push(incoming),
            Output::Transmit(to) => said.datagrams.extend(cut(to, &buf)),
            Output::Wait(wait) => {
                assert!(wait.is_none_or(|wait| wait > now), "a deadline that has passed");
                said.wait = wait;
                return said;
            }
        }
    }
}

fn cut(to: Transmit, bytes: &[u8]) -> impl Iterator<Item = (SocketAddr, Vec<u8>)> + '_ {
    let size = to.segment.unwrap_or(bytes.len());
    bytes.chunks(size).map(move |segment| (to.remote, segment.to_vec()))
}

/// Hands a datagram to an endpoint.
pub fn feed(endpoint: &mut Endpoint, from: SocketAddr, bytes: &[u8], now: Instant) {
    let mut bytes = bytes.to_vec();
    endpoint.handle_datagram(
        Datagram {
            carrier: UDP,
            remote: from,
            local: None,
            ecn: None,
            segment: None,
            bytes: &mut bytes,
        },
        now,
    );
}

/// The same, and all that the endpoint says to it.
pub fn ask(endpoint: &mut Endpoint, from: SocketAddr, bytes: &[u8], now: Instant) -> Said {
    feed(endpoint, from, bytes, now);
    drain(endpoint, now)
}

/// An endpoint that dials, its handle, and its first packet.
pub fn dial(
    config: EndpointConfig,
    seed: u64,
    to: &PeerAddr,
    now: Instant,
) -> (Endpoint, ConnectionHandle, Vec<u8>) {
    let mut dialer = endpoint(config, seed, now);
    let handle = dialer.connect(to.clone(), now).expect("room for a connection");
    let mut said = drain(&mut dialer, now);
    assert_eq!(said.datagrams.len(), 1, "one first packet");
    let (_, bytes) = said.datagrams.remove(0);
    (dialer, handle, bytes)
}

/// The type of a long packet; `None` for a short one.
///
/// # Panics
/// If it is neither.
pub fn kind(bytes: &[u8]) -> Option<PacketType> {
    match classify(bytes) {
        Class::Long(header) => Some(header.kind),
        Class::Short { .. } => None,
        Class::Other => panic!("no packet"),
    }
}

/// The destination id of a packet.
pub fn destination(bytes: &[u8]) -> ConnectionId {
    match classify(bytes) {
        Class::Long(LongHeader { dcid, .. }) | Class::Short { dcid } => dcid,
        Class::Other => panic!("no packet"),
    }
}

/// What macs and tags of the nameless open network are made with, as anybody can who knows the
/// responder's id (`None` for XX).
fn mac_key(responder: Option<&[u8; 32]>) -> [u8; 32] {
    let zero = [0; 32];
    let provider = Provider::Rust;
    let key = provider.sha256(&[b"aqdt mac1", responder.unwrap_or(&zero)]);
    let network = provider.sha256(&[b""]);
    provider.hmac_sha256(&key, &[&zero, &network])
}

/// Puts the right mac in the place of the last 16 of `bytes`.
pub fn seal_first(bytes: &mut [u8], responder: Option<&[u8; 32]>) {
    let (body, mac) = bytes.split_at_mut(bytes.len() - 16);
    mac.copy_from_slice(&Provider::Rust.hmac_sha256(&mac_key(responder), &[body])[..16]);
}

/// The same for the tag of a RETRY or VERSION that answers a packet with the mac `answered`.
pub fn seal_answer(bytes: &mut [u8], answered: &[u8; 16], responder: Option<&[u8; 32]>) {
    let (body, tag) = bytes.split_at_mut(bytes.len() - 16);
    let parts: [&[u8]; 3] = [b"aqdt retry", answered, body];
    tag.copy_from_slice(&Provider::Rust.hmac_sha256(&mac_key(responder), &parts)[..16]);
}
