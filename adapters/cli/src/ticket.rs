//! Tickets: where a node is and who must answer there, as one word that survives copying.
//!
//! ```text
//! aq1 base32( id 32 | count 1 | count x ( 4 | ip 4 | port 2  or  6 | ip 16 | port 2 ) | check 4 )
//! ```
//!
//! One ticket has one spelling: what does not come out again letter by letter is refused, so that a
//! slip of the pen is told from a peer that does not answer (spec `14-tickets-and-files.md`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use aqueduct_tokio::NodeId;
use data_encoding::BASE32_NOPAD;
use thiserror::Error;

/// What every ticket begins with: the kind and its version.
const PREFIX: &str = "aq1";
/// Addresses that a ticket holds at most (spec R-TKT-3).
pub const MAX_ADDRS: usize = 16;
const CHECK_LEN: usize = 4;
/// The longest ticket: `MAX_ADDRS` addresses of IPv6, in base32, behind the prefix.
const MAX_TEXT: usize = PREFIX.len() + ((32 + 1 + MAX_ADDRS * 19 + CHECK_LEN) * 8).div_ceil(5);

/// A node's id, and where it may be reached, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    id: NodeId,
    addrs: Vec<SocketAddr>,
}

impl Ticket {
    /// A ticket for `id`. Addresses that cannot be dialled and repetitions are left out, and so is
    /// what is beyond [`MAX_ADDRS`].
    pub fn new(id: NodeId, addrs: &[SocketAddr]) -> Self {
        let mut kept = Vec::new();
        for addr in addrs.iter().map(|addr| SocketAddr::new(addr.ip().to_canonical(), addr.port()))
        {
            if check_addr(addr).is_ok() && !kept.contains(&addr) && kept.len() < MAX_ADDRS {
                kept.push(addr);
            }
        }
        Self { id, addrs: kept }
    }

    /// Who must answer.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Where.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    fn body(&self) -> Vec<u8> {
        let mut body = self.id.as_bytes().to_vec();
        // `new` and the parser keep the count below MAX_ADDRS.
        body.push(u8::try_from(self.addrs.len()).unwrap_or(u8::MAX));
        for addr in &self.addrs {
            match addr.ip() {
                IpAddr::V4(ip) => {
                    body.push(4);
                    body.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    body.push(6);
                    body.extend(ip.octets());
                }
            }
            body.extend(addr.port().to_be_bytes());
        }
        body
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.body();
        bytes.extend(check_of(&bytes));
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let letters = text.strip_prefix(PREFIX).ok_or(TicketError::Prefix)?;
        if text.len() > MAX_TEXT {
            return Err(TicketError::Length);
        }
        if letters.bytes().any(|letter| letter.is_ascii_uppercase()) {
            return Err(TicketError::Letters);
        }
        let bytes = BASE32_NOPAD
            .decode(letters.to_ascii_uppercase().as_bytes())
            .map_err(|_| TicketError::Letters)?;
        let (body, check) = bytes.split_last_chunk::<CHECK_LEN>().ok_or(TicketError::Length)?;
        if check_of(body) != *check {
            return Err(TicketError::Check);
        }
        let ticket = parse_body(body)?;
        if ticket.to_string() == text { Ok(ticket) } else { Err(TicketError::Letters) }
    }
}

fn check_of(body: &[u8]) -> [u8; CHECK_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(PREFIX.as_bytes()).update(body);
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    [a, b, c, d]
}

fn parse_body(body: &[u8]) -> Result<Ticket, TicketError> {
    let (id, rest) = body.split_first_chunk::<32>().ok_or(TicketError::Length)?;
    let id = NodeId::from_bytes(id).map_err(|_| TicketError::Id)?;
    let (&count, mut rest) = rest.split_first().ok_or(TicketError::Length)?;
    if usize::from(count) > MAX_ADDRS {
        return Err(TicketError::Length);
    }
    let mut addrs = Vec::new();
    for _ in 0..count {
        let addr = take_addr(&mut rest)?;
        check_addr(addr)?;
        if addrs.contains(&addr) {
            return Err(TicketError::Address("an address twice"));
        }
        addrs.push(addr);
    }
    if rest.is_empty() { Ok(Ticket { id, addrs }) } else { Err(TicketError::Length) }
}

fn take_addr(rest: &mut &[u8]) -> Result<SocketAddr, TicketError> {
    let (&kind, after) = rest.split_first().ok_or(TicketError::Length)?;
    let (ip, after) = match kind {
        4 => {
            let (ip, after) = after.split_first_chunk::<4>().ok_or(TicketError::Length)?;
            (IpAddr::V4(Ipv4Addr::from(*ip)), after)
        }
        6 => {
            let (ip, after) = after.split_first_chunk::<16>().ok_or(TicketError::Length)?;
            (IpAddr::V6(Ipv6Addr::from(*ip)), after)
        }
        _ => return Err(TicketError::Address("an address of an unknown kind")),
    };
    let (port, after) = after.split_first_chunk::<2>().ok_or(TicketError::Length)?;
    *rest = after;
    Ok(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// Spec R-TKT-4: only what can be dialled, and each address in its one form.
fn check_addr(addr: SocketAddr) -> Result<(), TicketError> {
    let wrong = match addr.ip() {
        _ if addr.port() == 0 => "port 0",
        ip if ip.is_unspecified() => "the address of no host",
        ip if ip.is_multicast() => "an address of many hosts",
        IpAddr::V4(ip) if ip.is_broadcast() => "an address of many hosts",
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => "IPv4 in the clothes of IPv6",
        _ => return Ok(()),
    };
    Err(TicketError::Address(wrong))
}

/// Why a text is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TicketError {
    /// Something else.
    #[error("not a ticket: tickets begin with `aq1`")]
    Prefix,
    /// A character that base32 does not have, a capital, or stray bits at the end.
    #[error("not a ticket: it holds a character that no ticket has")]
    Letters,
    /// Too long, or cut.
    #[error("not a ticket: letters are missing or too many")]
    Length,
    /// A letter was changed on the way.
    #[error("the ticket's checksum is wrong: was it copied whole?")]
    Check,
    /// Well copied, badly made.
    #[error("the ticket holds no usable node id")]
    Id,
    /// Well copied, badly made.
    #[error("the ticket holds {0}")]
    Address(&'static str),
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
mod tests;
