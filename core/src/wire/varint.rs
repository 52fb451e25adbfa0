//! Variable-length numbers as in QUIC (RFC 9000 section 16): two bits of length, then 6 to 62 bits.

/// The largest number that can be written: 2^62 - 1.
pub const MAX: u64 = (1 << 62) - 1;

/// Bytes that the shortest form of `value` takes: 1, 2, 4 or 8.
pub const fn len(value: u64) -> usize {
    match value {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

/// The number at the beginning of `bytes`, and how many bytes it takes; `None` if they end too
/// soon.
pub fn decode(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    match first >> 6 {
        0 => Some((u64::from(first), 1)),
        1 => bytes.first_chunk().map(|b| (u64::from(u16::from_be_bytes(*b) & 0x3fff), 2)),
        2 => bytes.first_chunk().map(|b| (u64::from(u32::from_be_bytes(*b) & 0x3fff_ffff), 4)),
        _ => bytes.first_chunk().map(|b| (u64::from_be_bytes(*b) & MAX, 8)),
    }
}

/// The largest `n` such that `n` bytes and their length as a varint fit `room` bytes together.
pub fn capacity(room: usize) -> usize {
    let fits = |(bytes, most): (usize, usize)| room.checked_sub(bytes).map(|n| n.min(most));
    let forms = [(1, 0x3f), (2, 0x3fff), (4, 0x3fff_ffff), (8, usize::MAX >> 2)];
    forms.into_iter().filter_map(fits).max().unwrap_or(0)
}
