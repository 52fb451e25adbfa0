//! OPEN frames: a stream's introduction of itself.

/// The protocol that a stream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol<'a> {
    /// By number; those below 64 are Aqueduct's own.
    Number(u64),
    /// By name, 1 to 64 bytes.
    Name(&'a [u8]),
}

/// OPEN, borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenFrame<'a> {
    /// The stream.
    pub id: super::id::StreamId,
    /// What it speaks.
    pub protocol: Protocol<'a>,
    /// Size of the body in bytes, a hint for progress and never for allocation.
    pub size: Option<u64>,
    /// First offset that will come; 0 if absent.
    pub start: Option<u64>,
    /// Offset behind the last that will come.
    pub end: Option<u64>,
    /// BLAKE3 of the whole body.
    pub digest: Option<[u8; 32]>,
    /// The sender's priority byte (class in the upper two bits, see `05-streams.md`).
    pub priority: Option<u8>,
    /// Relays that may still forward it.
    pub hop_limit: Option<u8>,
    /// Reserved for sealing; carried and ignored.
    pub extension: &'a [u8],
    /// The application's own words, at most 900 bytes.
    pub head: &'a [u8],
}
