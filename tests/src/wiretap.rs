//! Reads packet numbers off the wire, with the keys that their sender logs.

use std::hash::{Hash, Hasher};

use aqueduct_core::crypto::provider::{AeadKey, Cipher, HeaderKey};
use aqueduct_core::endpoint::{ConnectionHandle, Endpoint};
use aqueduct_core::wire::header::{Class, classify};
use aqueduct_core::wire::id::Side;

use crate::provider::FAST;

/// Where a packet's payload begins.
const BODY: usize = 13;
const TAG: usize = 16;

/// One sender's keys of one connection.
#[derive(Clone)]
struct Key {
    phase: u64,
    body: AeadKey,
    iv: [u8; 12],
    header: HeaderKey,
}

/// One connection.
#[derive(Clone, Default)]
struct Sent {
    key: Option<Key>,
    /// What its last packet named the connection.
    to: [u8; 8],
    /// Phase and number of the last packet.
    last: Option<(u64, u64)>,
}

/// What a node sent.
#[derive(Clone, Default)]
pub struct Wiretap {
    /// In the order in which connections were first heard of.
    sent: Vec<(ConnectionHandle, Sent)>,
    /// Packets of no connection: stateless resets.
    strange: u64,
}

/// All that follows from nothing else in a world.
impl Hash for Wiretap {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sent.iter().for_each(|(_, sent)| sent.last.hash(state));
    }
}

impl Wiretap {
    /// A node sends a datagram, on one of these connections. No two packets of a connection may
    /// have one number: so no nonce is used twice, under whatever key.
    ///
    /// # Errors
    /// A number that does not ascend, or a packet that nobody has the keys of.
    pub fn on_sent(
        &mut self,
        bytes: &[u8],
        connections: &[ConnectionHandle],
        endpoint: &Endpoint,
    ) -> Result<(), String> {
        if !matches!(classify(bytes), Class::Short { .. }) {
            return Ok(());
        }
        self.sent.retain(|(handle, _)| connections.contains(handle));
        for handle in connections {
            if !self.sent.iter().any(|(known, _)| known == handle) {
                self.sent.push((*handle, Sent::default()));
            }
        }
        let to = named(bytes);
        if let Some((number, at)) = self.known(bytes, to).or_else(|| self.renewed(bytes, endpoint))
        {
            let sent = &mut self.sent[at].1;
            let phase = sent.key.as_ref().map_or(0, |key| key.phase);
            let last = sent.last.replace((phase, number));
            sent.to = to;
            let grows = last.is_none_or(|(before, last)| before <= phase && last < number);
            return match grows {
                true => Ok(()),
                false => Err(format!("{last:?} is followed by {:?}", (phase, number))),
            };
        }
        self.strange += 1;
        match self.strange <= endpoint.stats().resets {
            true => Ok(()),
            false => Err("a packet that nobody has the keys of".to_owned()),
        }
    }

    /// The number of a packet that a known key opens, and whose key that is. Who sent to that name
    /// last is asked first.
    fn known(&self, bytes: &[u8], to: [u8; 8]) -> Option<(u64, usize)> {
        let with = |likely: bool| {
            let sent = self.sent.iter().enumerate();
            sent.filter(move |(_, (_, sent))| (sent.to == to) == likely)
        };
        let number = |sent: &Sent| sent.key.as_ref()?.number(bytes);
        with(true).chain(with(false)).find_map(|(at, (_, sent))| Some((number(sent)?, at)))
    }

    /// The same with the keys that each connection has now, which is remembered.
    fn renewed(&mut self, bytes: &[u8], endpoint: &Endpoint) -> Option<(u64, usize)> {
        self.sent.iter_mut().enumerate().find_map(|(at, (handle, sent))| {
            let key = Key::logged(*handle, endpoint)?;
            let number = key.number(bytes)?;
            sent.key = Some(key);
            Some((number, at))
        })
    }
}

/// What a packet names its connection.
fn named(bytes: &[u8]) -> [u8; 8] {
    bytes.get(1..9).and_then(|name| name.try_into().ok()).unwrap_or_default()
}

impl Key {
    /// What the connection's sending keys are now.
    fn logged(handle: ConnectionHandle, endpoint: &Endpoint) -> Option<Self> {
        let (_, view) = endpoint.connections().find(|(known, _)| *known == handle)?;
        let mut log = String::new();
        view.write_key_log(&mut log).ok()?;
        let way = if view.side() == Side::Initiator { "i2r" } else { "r2i" };
        let line = log.lines().find(|line| line.split(' ').nth(3) == Some(way))?;
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, _, _, _, phase, cipher, key, iv, header] = fields[..] else { return None };
        let cipher = match cipher {
            "aes-256-gcm" => Cipher::Aes256Gcm,
            _ => Cipher::ChaCha20Poly1305,
        };
        Some(Self {
            phase: phase.parse().ok()?,
            body: FAST.aead(cipher, &hex(key)?),
            iv: hex(iv)?,
            header: FAST.header_key(cipher, &hex(header)?),
        })
    }

    /// The number of a packet under this key; `None` if it is under another.
    fn number(&self, packet: &[u8]) -> Option<u64> {
        let sample = packet.get(BODY..BODY + 16)?.try_into().ok()?;
        let mask = self.header.mask(sample);
        let mut header: [u8; BODY] = packet.get(..BODY)?.try_into().ok()?;
        header[0] ^= mask[0] & 0x3f;
        header[9..].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
        let number = u64::from(u32::from_be_bytes(header[9..].try_into().ok()?));
        let mut nonce = self.iv;
        nonce.iter_mut().skip(4).zip(number.to_be_bytes()).for_each(|(to, from)| *to ^= from);
        let mut body = packet.get(BODY..packet.len() - TAG)?.to_vec();
        let tag = packet.get(packet.len() - TAG..)?.try_into().ok()?;
        self.body.open(&nonce, &header, &mut body, tag).is_ok().then_some(number)
    }
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
