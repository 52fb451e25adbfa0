//! pcapng: every datagram behind made-up headers of IP and UDP, with a comment of what it was.
//!
//! Blocks: a section, an interface for each carrier, then packets. All numbers little-endian, as
//! the section says; those of IP and UDP big-endian.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aqueduct_core::time::Instant;
use aqueduct_core::trace::{Content, Divergence, Packet, Seen, Trace, View, Way};
use aqueduct_core::wire::id::CarrierId;

use super::{Writer, name};
use crate::words;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Raw IP, version 4 or 6 by its first bits.
const LINKTYPE_RAW: u16 = 101;

const COMMENT: u16 = 1;
const INTERFACE_NAME: u16 = 2;
const RESOLUTION: u16 = 9;
const APPLICATION: u16 = 4;
const FLAGS: u16 = 2;

const UDP: u8 = 17;
const UDP_HEADER: usize = 8;

/// Writes blocks.
pub(super) struct Pcapng<'a> {
    out: &'a mut dyn Write,
    /// Interfaces that were described, by their order.
    carriers: Vec<CarrierId>,
}

impl<'a> Pcapng<'a> {
    /// With its head.
    pub(super) fn begin(head: &Trace<'_>, out: &'a mut dyn Write) -> io::Result<Self> {
        let mut pcapng = Self { out, carriers: Vec::new() };
        let mut body = Vec::new();
        body.extend(BYTE_ORDER.to_le_bytes());
        body.extend(1_u16.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        // The section's length is not known.
        body.extend(u64::MAX.to_le_bytes());
        let label = head.label();
        let comment = format!(
            "an Aqueduct tape{}{label}; headers of IP and UDP are made up from its routes",
            if label.is_empty() { "" } else { ": " }
        );
        option(&mut body, COMMENT, comment.as_bytes());
        option(&mut body, APPLICATION, b"aqueduct trace export");
        close(&mut body);
        pcapng.block(SECTION, &body)?;
        Ok(pcapng)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(12 + body.len()).unwrap_or(u32::MAX);
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&length.to_le_bytes())
    }

    fn interface(&mut self, carrier: CarrierId) -> io::Result<u32> {
        let known = self.carriers.iter().position(|known| *known == carrier);
        let place = match known {
            Some(place) => place,
            None => {
                let mut body = Vec::new();
                body.extend(LINKTYPE_RAW.to_le_bytes());
                body.extend([0; 2]);
                body.extend(0_u32.to_le_bytes());
                option(&mut body, INTERFACE_NAME, format!("carrier {}", carrier.0).as_bytes());
                // Ten to the power of minus nine.
                option(&mut body, RESOLUTION, &[9]);
                close(&mut body);
                self.block(INTERFACE, &body)?;
                self.carriers.push(carrier);
                self.carriers.len() - 1
            }
        };
        Ok(u32::try_from(place).unwrap_or(u32::MAX))
    }

    fn packet(&mut self, time: Instant, packet: &Packet) -> io::Result<()> {
        let interface = self.interface(packet.route.carrier)?;
        let headers = headers(packet);
        let bytes = packet.datagram.as_deref().unwrap_or_default();
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        let mut body = Vec::with_capacity(bytes.len() + 256);
        body.extend(interface.to_le_bytes());
        let stamp = time.as_nanos();
        body.extend(((stamp >> 32) as u32).to_le_bytes());
        body.extend((stamp as u32).to_le_bytes());
        body.extend(number(headers.len() + bytes.len()));
        body.extend(number(headers.len() + packet.size));
        body.extend(&headers);
        body.extend(bytes);
        pad(&mut body);
        let comment = comment(packet);
        if !comment.is_empty() {
            option(&mut body, COMMENT, comment.as_bytes());
        }
        let direction: u32 = if packet.way == Way::Received { 1 } else { 2 };
        option(&mut body, FLAGS, &direction.to_le_bytes());
        close(&mut body);
        self.block(PACKET, &body)
    }
}

impl Writer for Pcapng<'_> {
    fn see(&mut self, view: &View<'_>) -> io::Result<()> {
        match &view.what {
            Seen::Packet(packet) => self.packet(view.time, packet),
            _ => Ok(()),
        }
    }

    fn diverged(&mut self, _: &Divergence) -> io::Result<()> {
        // Packets behind it stand without what was in them.
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What a packet was, for whoever cannot open it.
fn comment(packet: &Packet) -> String {
    let mut text =
        packet.connection.map_or_else(String::new, |slot| format!("connection {} ", name(slot)));
    if let Content::Data { number, .. } = &packet.content {
        text.push_str(&format!("#{} ", number.0));
    }
    text.push_str(&words::content(packet));
    text.trim_end().to_owned()
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn close(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

fn pad(body: &mut Vec<u8>) {
    while !body.len().is_multiple_of(4) {
        body.push(0);
    }
}

/// Headers of IP and UDP from a packet's route. This node's port is on no tape.
fn headers(packet: &Packet) -> Vec<u8> {
    let remote =
        SocketAddr::new(packet.route.remote.ip().to_canonical(), packet.route.remote.port());
    let local = packet.route.local.map(|local| local.to_canonical());
    let here = match (local, remote.ip()) {
        (Some(local), other) if local.is_ipv4() == other.is_ipv4() => local,
        (_, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
        (_, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let here = SocketAddr::new(here, 0);
    let (from, to) = match packet.way {
        Way::Sent => (here, remote),
        Way::Received => (remote, here),
    };
    let mark = packet.route.ecn.map_or(0, |ecn| ecn as u8);
    let length = u16::try_from(UDP_HEADER + packet.size).unwrap_or(u16::MAX);
    let mut udp = [from.port(), to.port(), length, 0].map(u16::to_be_bytes).concat();
    let mut out = match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => v4(from, to, length, mark),
        (from, to) => {
            let [from, to] = [from, to].map(|ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            });
            let payload = packet.datagram.as_deref().unwrap_or_default();
            let check = v6_checksum(from, to, &udp, payload).to_be_bytes();
            udp.truncate(UDP_HEADER - check.len());
            udp.extend(check);
            v6(from, to, length, mark)
        }
    };
    out.append(&mut udp);
    out
}

fn v4(from: Ipv4Addr, to: Ipv4Addr, length: u16, mark: u8) -> Vec<u8> {
    let whole = length.saturating_add(20).to_be_bytes();
    let mut head = vec![0x45, mark, whole[0], whole[1], 0, 0, 0x40, 0, 64, UDP, 0, 0];
    head.extend(from.octets());
    head.extend(to.octets());
    let check = checksum(&head).to_be_bytes();
    let places = head.iter_mut().skip(10).zip(check);
    places.for_each(|(place, byte)| *place = byte);
    head
}

fn v6(from: Ipv6Addr, to: Ipv6Addr, length: u16, mark: u8) -> Vec<u8> {
    let length = length.to_be_bytes();
    let mut head = vec![0x60, mark << 4, 0, 0, length[0], length[1], UDP, 64];
    head.extend(from.octets());
    head.extend(to.octets());
    head
}

fn v6_checksum(from: Ipv6Addr, to: Ipv6Addr, udp: &[u8], payload: &[u8]) -> u16 {
    let length = u32::try_from(udp.len() + payload.len()).unwrap_or(u32::MAX);
    let mut all = Vec::with_capacity(48 + payload.len());
    all.extend(from.octets());
    all.extend(to.octets());
    all.extend(length.to_be_bytes());
    all.extend([0, 0, 0, UDP]);
    all.extend(udp);
    all.extend(payload);
    // Zero means none there.
    match checksum(&all) {
        0 => u16::MAX,
        check => check,
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let sum: u32 = words.fold(0, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}
