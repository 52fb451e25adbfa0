//! How values stand on a tape. A tape is read by this program and its successors only, so the
//! forms are as plain as can be: numbers of seven bits a byte, what may be missing behind a byte
//! that says so.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::ops::Range;
use core::time::Duration;

use bytes::Bytes;

use crate::time::Instant;
use crate::wire::id::{AppCode, CarrierId, Dir, Ecn, StreamId};

/// A value that stands on a tape.
pub trait Taped: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes it off; `None` if nothing of its form stands there.
    fn get(from: &mut Reader<'_>) -> Option<Self>;
}

/// Bytes of a tape that were not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes, where they lie.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Bytes behind their length, where they lie.
    pub fn blob(&mut self) -> Option<&'a [u8]> {
        let len = usize::get(self)?;
        self.take(len)
    }

    /// A value.
    pub fn get<T: Taped>(&mut self) -> Option<T> {
        T::get(self)
    }
}

/// Appends bytes behind their length.
pub fn put_blob(bytes: &[u8], out: &mut Vec<u8>) {
    bytes.len().put(out);
    out.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first; the upper bit says that more follow. One in more bytes than
/// it needs is none (spec R-TAPE-9): who replaces a length must know where it begins.
impl Taped for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = from.byte()?;
            let bits = Self::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return (byte > 0 || shift == 0).then_some(value);
            }
        }
        None
    }
}

/// Nothing.
impl Taped for () {
    fn put(&self, _: &mut Vec<u8>) {}

    fn get(_: &mut Reader<'_>) -> Option<Self> {
        Some(())
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Taped for $number {
            fn put(&self, out: &mut Vec<u8>) {
                (*self as u64).put(out);
            }

            fn get(from: &mut Reader<'_>) -> Option<Self> {
                Self::try_from(u64::get(from)?).ok()
            }
        }
    )*};
}

numbers!(u8, u16, u32, usize);

impl Taped for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        match from.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Taped> Taped for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|value| value.put(out));
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        if bool::get(from)? { T::get(from).map(Some) } else { Some(None) }
    }
}

impl<const N: usize> Taped for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        from.take(N)?.try_into().ok()
    }
}

impl<A: Taped, B: Taped> Taped for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some((from.get()?, from.get()?))
    }
}

impl Taped for Bytes {
    fn put(&self, out: &mut Vec<u8>) {
        put_blob(self, out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        from.blob().map(Self::copy_from_slice)
    }
}

impl Taped for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_blob(self.as_bytes(), out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        core::str::from_utf8(from.blob()?).ok().map(Self::from)
    }
}

impl Taped for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        (self.as_secs(), self.subsec_nanos()).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let (secs, nanos) = from.get::<(u64, u32)>()?;
        (nanos < 1_000_000_000).then(|| Self::new(secs, nanos))
    }
}

impl Taped for Instant {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_nanos().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        from.get().map(Self::from_nanos)
    }
}

impl Taped for Range<u64> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.start, self.end).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some(from.get()?..from.get()?)
    }
}

impl Taped for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(v4) => (4_u8, v4.octets()).put(out),
            Self::V6(v6) => (6_u8, v6.octets()).put(out),
        }
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        match from.byte()? {
            4 => from.get::<[u8; 4]>().map(|octets| Ipv4Addr::from(octets).into()),
            6 => from.get::<[u8; 16]>().map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        }
    }
}

/// An IPv6 address with a flow label or a scope is kind 7.
impl Taped for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::V6(v6) if (v6.flowinfo(), v6.scope_id()) != (0, 0) => {
                (7_u8, v6.ip().octets()).put(out);
                (v6.flowinfo(), v6.scope_id()).put(out);
            }
            _ => self.ip().put(out),
        }
        self.port().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        if from.rest().first() != Some(&7) {
            return Some(Self::new(from.get()?, from.get()?));
        }
        let (_, octets) = from.get::<(u8, [u8; 16])>()?;
        let (flow, scope) = from.get()?;
        Some(SocketAddrV6::new(octets.into(), from.get()?, flow, scope).into())
    }
}

impl Taped for Dir {
    fn put(&self, out: &mut Vec<u8>) {
        (*self == Self::Uni).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        Some(if bool::get(from)? { Self::Uni } else { Self::Bi })
    }
}

/// Its code point; 0 for none, of which `Option` is made.
impl Taped for Ecn {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        [Self::Ect1, Self::Ect0, Self::Ce]
            .into_iter()
            .find(|ecn| Some(*ecn as u8) == from.rest().first().copied())
            .filter(|_| from.byte().is_some())
    }
}

macro_rules! names {
    ($($name:ident),*) => {$(
        impl Taped for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn get(from: &mut Reader<'_>) -> Option<Self> {
                from.get().map(Self)
            }
        }
    )*};
}

names!(StreamId, AppCode, CarrierId);
