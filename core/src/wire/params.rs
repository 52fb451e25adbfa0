//! Parameters: what each side allows the other from the beginning.
//!
//! They ride in the authenticated payloads of the handshake. One byte of version, ten numbers in a
//! fixed order, the reset token, and then extensions that a receiver may ignore:
//!
//! ```text
//! 1 | max_data | max_stream_data | max_streams_bidi | max_streams_uni | idle_timeout_ms
//!   | max_ack_delay_us | max_datagram_frame | max_packet_size | active_cid_limit
//!   | max_message_size | reset_token 16 | (id | length | bytes)*
//! ```

use alloc::vec::Vec;

use super::codec::{DecodeError, Put, Reader};
use super::frame::MAX_STREAM_COUNT;
use super::varint;

/// The first byte of encoded parameters.
pub const PARAMS_VERSION: u8 = 1;
/// Extensions behind the fixed part, at most.
pub const MAX_EXTENSIONS: usize = 32;
/// The largest payload of a UDP datagram over IPv6 without jumbograms.
pub const MAX_UDP_PAYLOAD: u64 = 65_527;
/// The longest that an ACK may be held back, in microseconds.
pub const MAX_ACK_DELAY_LIMIT_US: u64 = 1_000_000;
/// The longest idle time-out, in milliseconds: one day.
pub const MAX_IDLE_TIMEOUT_MS: u64 = 86_400_000;
/// The fewest and the most connection ids that a side keeps of the other.
pub const CID_LIMITS: core::ops::RangeInclusive<u64> = 2..=8;

/// What a side allows the other, and tells it about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(any(test, feature = "fingerprint"), derive(Hash))]
pub struct Params {
    /// Sum over all streams of the highest offset that the peer may send, in bytes.
    pub initial_max_data: u64,
    /// Credit of every stream at its beginning, each way that this side receives, in bytes. At most
    /// `initial_max_data`, unless the peer may open no stream.
    pub initial_max_stream_data: u64,
    /// Bidirectional streams that the peer may open, at most 2^60.
    pub max_streams_bidi: u64,
    /// Unidirectional streams that the peer may open, at most 2^60.
    pub max_streams_uni: u64,
    /// Silence after which this side forgets the connection, in milliseconds, 1 to one day.
    pub idle_timeout_ms: u64,
    /// Longest time for which this side holds an ACK back, in microseconds; at most a second, and
    /// less than the idle time-out.
    pub max_ack_delay_us: u64,
    /// Largest payload of a DATAGRAM that this side takes, in bytes; 0: it takes none.
    pub max_datagram_frame: u64,
    /// Largest packet that this side takes, in bytes of UDP payload; 1,200 to 65,527.
    pub max_packet_size: u64,
    /// Connection ids of the peer that this side keeps, 2 to 8.
    pub active_cid_limit: u64,
    /// Largest whole message that this side takes, in bytes.
    pub max_message_size: u64,
    /// What a stateless reset for this side's first connection id ends with.
    pub reset_token: [u8; 16],
}

impl Default for Params {
    /// 100 streams of 16 KiB, 30 s, 25 ms, and no reset token.
    fn default() -> Self {
        Self {
            initial_max_data: 100 * 16_384,
            initial_max_stream_data: 16_384,
            max_streams_bidi: 50,
            max_streams_uni: 50,
            idle_timeout_ms: 30_000,
            max_ack_delay_us: 25_000,
            max_datagram_frame: MAX_UDP_PAYLOAD,
            max_packet_size: MAX_UDP_PAYLOAD,
            active_cid_limit: 4,
            max_message_size: 1 << 20,
            reset_token: [0; 16],
        }
    }
}

impl Params {
    /// Appends the parameters as they are, without extensions. Whoever means them sees to it that
    /// they pass [`Self::check`]; every number is at most 2^62 - 1.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.u8(PARAMS_VERSION);
        for number in self.numbers() {
            out.varint(number);
        }
        out.bytes(&self.reset_token);
    }

    /// Reads parameters, which must fill `bytes`. Unknown extensions are passed over.
    ///
    /// # Errors
    /// [`DecodeError::Parameters`] for bytes that are no parameters, a number outside its limits,
    /// numbers that contradict each other, an extension given twice, or more than
    /// [`MAX_EXTENSIONS`] of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let params = Self::read(&mut Reader::new(bytes)).map_err(|error| match error {
            DecodeError::Truncated => DecodeError::Parameters("parameters that end too soon"),
            other => other,
        })?;
        params.check().map(|()| params)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.u8()? != PARAMS_VERSION {
            return Err(DecodeError::Parameters("parameters of an unknown version"));
        }
        let params = Self {
            initial_max_data: reader.varint()?,
            initial_max_stream_data: reader.varint()?,
            max_streams_bidi: reader.varint()?,
            max_streams_uni: reader.varint()?,
            idle_timeout_ms: reader.varint()?,
            max_ack_delay_us: reader.varint()?,
            max_datagram_frame: reader.varint()?,
            max_packet_size: reader.varint()?,
            active_cid_limit: reader.varint()?,
            max_message_size: reader.varint()?,
            reset_token: reader.array()?,
        };
        pass_extensions(reader)?;
        Ok(params)
    }

    /// Whether a peer would take these.
    ///
    /// # Errors
    /// [`DecodeError::Parameters`] with what the peer would say.
    pub fn check(&self) -> Result<(), DecodeError> {
        let rules = [
            (self.numbers().iter().all(|n| *n <= varint::MAX), "a parameter above 2^62 - 1"),
            (
                self.max_streams_bidi.max(self.max_streams_uni) <= MAX_STREAM_COUNT,
                "a count of streams above 2^60",
            ),
            (
                self.initial_max_stream_data <= self.initial_max_data
                    || (self.max_streams_bidi == 0 && self.max_streams_uni == 0),
                "more credit for one stream than for the connection",
            ),
            (
                (1..=MAX_IDLE_TIMEOUT_MS).contains(&self.idle_timeout_ms),
                "an idle time-out of nothing or of more than a day",
            ),
            (
                self.max_ack_delay_us <= MAX_ACK_DELAY_LIMIT_US
                    && self.max_ack_delay_us < self.idle_timeout_ms.saturating_mul(1_000),
                "an ACK delay above a second or above the idle time-out",
            ),
            (
                (super::header::MIN_PACKET_SIZE as u64..=MAX_UDP_PAYLOAD)
                    .contains(&self.max_packet_size),
                "a packet size below 1,200 or above 65,527",
            ),
            (
                self.max_datagram_frame <= MAX_UDP_PAYLOAD,
                "a datagram size above that of any packet",
            ),
            (CID_LIMITS.contains(&self.active_cid_limit), "a connection id limit not in 2 to 8"),
        ];
        match rules.into_iter().find(|(kept, _)| !kept) {
            Some((_, what)) => Err(DecodeError::Parameters(what)),
            None => Ok(()),
        }
    }

    const fn numbers(&self) -> [u64; 10] {
        [
            self.initial_max_data,
            self.initial_max_stream_data,
            self.max_streams_bidi,
            self.max_streams_uni,
            self.idle_timeout_ms,
            self.max_ack_delay_us,
            self.max_datagram_frame,
            self.max_packet_size,
            self.active_cid_limit,
            self.max_message_size,
        ]
    }
}

fn pass_extensions(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let mut seen = [0; MAX_EXTENSIONS];
    let mut count = 0;
    while !reader.is_empty() {
        let id = reader.varint()?;
        if seen.iter().take(count).any(|known| *known == id) {
            return Err(DecodeError::Parameters("an extension given twice"));
        }
        let slot = seen.get_mut(count).ok_or(DecodeError::Parameters("too many extensions"))?;
        *slot = id;
        count += 1;
        let length = usize::try_from(reader.varint()?).map_err(|_| DecodeError::Truncated)?;
        reader.bytes(length)?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
