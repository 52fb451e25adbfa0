//! A configuration on a tape: each setting behind its number, so that tapes outlive settings that
//! are added. Secrets stand apart.
//!
//! Who adds a setting is stopped here: the structs are taken apart field by field.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::congestion::Algorithm;
use crate::crypto::handshake::HandshakeConfig;
use crate::crypto::limits::KeyLimits;
use crate::crypto::provider::Provider;
use crate::flow::BudgetLimits;
use crate::message::DropRule;
use crate::tape::{Reader, Taped, put_blob};

use super::{EndpointConfig, MAX_CONNECTIONS, RetryPolicy, Streaming, TransportConfig};

/// Appends a setting.
fn set(number: u8, value: &impl Taped, out: &mut Vec<u8>) {
    out.push(number);
    let mut bytes = Vec::new();
    value.put(&mut bytes);
    put_blob(&bytes, out);
}

/// Reads settings one by one; `take` refuses those that it does not know.
fn settings<'a>(
    from: &mut Reader<'a>,
    mut take: impl FnMut(u8, &mut Reader<'a>) -> Option<()>,
) -> Option<()> {
    while !from.is_empty() {
        let number = from.byte()?;
        let mut value = Reader::new(from.blob()?);
        take(number, &mut value)?;
        if !value.is_empty() {
            return None;
        }
    }
    Some(())
}

impl EndpointConfig {
    /// All but the secrets.
    pub(crate) fn put_settings(&self, out: &mut Vec<u8>) {
        let Self {
            handshake,
            provider: _, // has no effect on any byte
            memory,
            half_open,
            retry,
            timer_granularity,
            shard,
            send_limit,
            peer_limit,
            transport,
        } = self;
        let mut part = Vec::new();
        handshake.put_settings(&mut part);
        set(1, &bytes::Bytes::from(part), out);
        set(2, &(memory.total(), (memory.max_connections(), memory.floor())), out);
        set(3, half_open, out);
        set(4, &(*retry == RetryPolicy::Always), out);
        set(5, timer_granularity, out);
        set(6, shard, out);
        let mut part = Vec::new();
        transport.put_settings(&mut part);
        set(7, &bytes::Bytes::from(part), out);
        set(8, &(*send_limit, *peer_limit), out);
    }

    /// The secrets.
    pub(crate) fn put_secrets(&self, out: &mut Vec<u8>) {
        self.handshake.put_secrets(out);
    }

    /// The configuration of both; `None` if it cannot be, or has a setting that is not known.
    pub(crate) fn from_tape(said: &[u8], secrets: &mut Reader<'_>) -> Option<Self> {
        let handshake = HandshakeConfig::from_secrets(secrets)?;
        let mut config = Self::new(handshake.key().clone());
        let mut handshake = Some(handshake);
        settings(&mut Reader::new(said), |number, from| {
            match number {
                1 => {
                    let part = from.blob()?;
                    let read = handshake.take()?.with_settings(&mut Reader::new(part))?;
                    config.handshake = Arc::new(read);
                }
                2 => {
                    let (total, (most, floor)) = from.get::<(u64, (u32, u64))>()?;
                    let limits = BudgetLimits::with_floor(total, most, floor).ok()?;
                    config.memory = (most <= MAX_CONNECTIONS).then_some(limits)?;
                }
                3 => config = config.clone().with_half_open(from.get()?).ok()?,
                4 if from.get()? => config.retry = RetryPolicy::Always,
                4 => config.retry = RetryPolicy::Auto,
                5 => config.timer_granularity = from.get()?,
                6 => config = config.clone().with_shard(from.get()?).ok()?,
                7 => {
                    let part = from.blob()?;
                    config.transport = Arc::new(TransportConfig::from_settings(part)?);
                }
                8 => (config.send_limit, config.peer_limit) = from.get()?,
                _ => return None,
            }
            Some(())
        })?;
        Some(config.with_provider(provider()))
    }
}

/// The fastest that is built in.
fn provider() -> Provider {
    #[cfg(feature = "aws-lc-rs")]
    return Provider::AwsLc;
    #[cfg(not(feature = "aws-lc-rs"))]
    Provider::Rust
}

impl TransportConfig {
    fn put_settings(&self, out: &mut Vec<u8>) {
        let Self {
            idle_timeout,
            keep_alive,
            handshake_timeout,
            peer_patience,
            max_ack_delay,
            max_streams_bidi,
            max_streams_uni,
            packets,
            send_buffer,
            max_message_size,
            datagram_queue,
            datagram_rule,
            controller,
            key_limits,
            streaming,
            stream_buffer,
            stream_timeout,
            stuck_timeout,
            max_stream_window,
            stream_ranges,
            linger,
            // Nobody who records has one.
            planted: _,
        } = self;
        set(1, idle_timeout, out);
        set(2, keep_alive, out);
        set(3, handshake_timeout, out);
        set(4, max_ack_delay, out);
        set(5, &(*max_streams_bidi, *max_streams_uni), out);
        set(6, &packets.network, out);
        set(7, send_buffer, out);
        set(8, max_message_size, out);
        set(9, &(*datagram_queue, *datagram_rule == DropRule::Newest), out);
        set(10, controller, out);
        set(11, key_limits, out);
        set(12, streaming, out);
        set(13, stream_buffer, out);
        set(14, stream_timeout, out);
        set(15, peer_patience, out);
        set(16, stuck_timeout, out);
        set(17, max_stream_window, out);
        set(18, stream_ranges, out);
        set(19, &packets.loopback, out);
        set(20, linger, out);
    }

    fn from_settings(said: &[u8]) -> Option<Self> {
        let mut config = Self::default();
        settings(&mut Reader::new(said), |number, from| {
            let old = core::mem::take(&mut config);
            config = old.with_setting(number, from)?;
            Some(())
        })?;
        Some(config)
    }

    fn with_setting(mut self, number: u8, from: &mut Reader<'_>) -> Option<Self> {
        match number {
            1 => return self.with_idle_timeout(from.get()?).ok(),
            2 => self.keep_alive = from.get()?,
            3 => self.handshake_timeout = from.get()?,
            4 => return self.with_max_ack_delay(from.get()?).ok(),
            5 => {
                let (bidi, uni) = from.get()?;
                return self.with_max_streams(bidi, uni).ok();
            }
            6 => return self.with_max_packet_size(from.get()?).ok(),
            7 => return self.with_send_buffer(from.get()?).ok(),
            8 => return self.with_max_message_size(from.get()?).ok(),
            9 => {
                let (bytes, newest) = from.get()?;
                let rule = if newest { DropRule::Newest } else { DropRule::Oldest };
                return Some(self.with_datagrams(bytes, rule));
            }
            10 => self.controller = from.get()?,
            11 => self.key_limits = from.get()?,
            12 => self.streaming = from.get()?,
            13 => self.stream_buffer = from.get()?,
            14 => self.stream_timeout = from.get()?,
            15 => self.peer_patience = from.get()?,
            16 => self.stuck_timeout = from.get()?,
            17 => return self.with_max_stream_window(from.get()?).ok(),
            18 => return self.with_stream_ranges(from.get()?).ok(),
            19 => return self.with_max_loopback_packet_size(from.get()?).ok(),
            20 => return self.with_linger(from.get()?).ok(),
            _ => return None,
        }
        Some(self)
    }
}

impl Taped for KeyLimits {
    fn put(&self, out: &mut Vec<u8>) {
        let (soft_packets, soft_age, hard_packets, failed_opens) = self.parts();
        ((soft_packets, soft_age), (hard_packets, failed_opens)).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let ((soft, age), (hard, failed)) = from.get::<((u64, Duration), (u64, u64))>()?;
        // The soft limit first: it must lie below the hard one at every step.
        let limits = Self::default().with_soft_packets(soft).ok()?.with_soft_age(age).ok()?;
        limits.with_hard_packets(hard).ok()?.with_failed_opens(failed).ok()
    }
}

impl Taped for Streaming {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { streaming_enabled, streaming_threshold, piped_forwarding, streaming_shadow } =
            *self;
        (streaming_enabled, streaming_threshold).put(out);
        (piped_forwarding, streaming_shadow).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        let (streaming_enabled, streaming_threshold) = from.get()?;
        let (piped_forwarding, streaming_shadow) = from.get()?;
        Some(Self { streaming_enabled, streaming_threshold, piped_forwarding, streaming_shadow })
    }
}

#[cfg(test)]
#[path = "taped_tests.rs"]
mod tests;

/// Controllers by number.
const CONTROLLERS: [Algorithm; 5] =
    [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Bbr, Algorithm::Weir, Algorithm::Ledbat];

impl Taped for Algorithm {
    fn put(&self, out: &mut Vec<u8>) {
        let at = CONTROLLERS.iter().position(|it| it == self);
        at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0).put(out);
    }

    fn get(from: &mut Reader<'_>) -> Option<Self> {
        CONTROLLERS.get(usize::from(from.get::<u8>()?)).copied()
    }
}
