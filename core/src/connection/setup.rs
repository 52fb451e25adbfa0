//! What a connection begins with, before it knows its peer.

use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use crate::config::TransportConfig;
use crate::congestion::CongestionConfig;
use crate::crypto::provider::Provider;
use crate::flow::{RecvCredit, RecvLimits, Share};
use crate::path::{EcnState, PathConfig};
use crate::rng::Rng;
use crate::wire::id::Side;
use crate::wire::params::{MAX_UDP_PAYLOAD, Params};

use super::cids::{ACTIVE, CidSource};

/// What the endpoint gives a new connection.
pub(crate) struct Setup {
    /// How it behaves.
    pub(crate) config: Arc<TransportConfig>,
    /// Who computes its ciphers.
    pub(crate) provider: Provider,
    /// How finely the driver can wake.
    pub(crate) timer_granularity: Duration,
    /// Makes its connection ids.
    pub(crate) cids: CidSource,
    /// Its part of the budget.
    pub(crate) share: Share,
    /// Public randomness: challenges, skipped numbers, jitter.
    pub(crate) rng: Rng,
}

impl Setup {
    /// What we grant, on the side that we are.
    pub(crate) fn credit(&self, side: Side) -> RecvCredit {
        let limits = RecvLimits {
            max_streams_bidi: self.config.max_streams_bidi.into(),
            max_streams_uni: self.config.max_streams_uni.into(),
            max_stream_window: self.config.max_stream_window,
            stream_ranges: self.config.stream_ranges,
        };
        RecvCredit::new(self.share.clone(), side, limits)
    }

    /// What we tell the peer at `remote` of ourselves. The same whichever side we are.
    pub(crate) fn params(&self, remote: IpAddr) -> Params {
        let initial = self.credit(Side::Initiator).initial();
        let first = self.cids.id(0);
        let params = Params {
            initial_max_data: initial.max_data,
            initial_max_stream_data: initial.max_stream_data,
            max_streams_bidi: initial.max_streams_bidi,
            max_streams_uni: initial.max_streams_uni,
            idle_timeout_ms: millis(self.config.idle_timeout),
            max_ack_delay_us: u64::try_from(self.config.ack_delay().as_micros())
                .unwrap_or(u64::MAX),
            max_datagram_frame: max_datagram(&self.config),
            max_packet_size: self.config.packets.most_to(remote).into(),
            active_cid_limit: ACTIVE,
            max_message_size: self.config.max_message_size,
            reset_token: self.cids.reset_token(&first),
        };
        debug_assert_eq!(params.check(), Ok(()), "a configuration that peers refuse");
        params
    }

    /// How its paths begin.
    pub(crate) fn path_config(&self) -> PathConfig {
        PathConfig {
            congestion: CongestionConfig {
                algorithm: self.config.controller,
                ..CongestionConfig::default()
            },
            timer_granularity: self.timer_granularity.max(Duration::from_nanos(1)),
            packets: self.config.packets,
            ecn: EcnState::Testing,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Largest datagram payload that we take, in bytes; 0 takes none.
pub(super) fn max_datagram(config: &TransportConfig) -> u64 {
    config.datagram_queue.min(MAX_UDP_PAYLOAD)
}
