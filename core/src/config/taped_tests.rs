use alloc::vec::Vec;
use core::time::Duration;

use crate::congestion::Algorithm;
use crate::crypto::handshake::{Ciphers, Network, PairSecrets, Strangers};
use crate::crypto::identity::NodeKey;
use crate::crypto::limits::KeyLimits;
use crate::fingerprint::Fingerprint;
use crate::message::DropRule;
use crate::tape::Reader;

use super::super::{EndpointConfig, RetryPolicy, Streaming, TransportConfig};

/// Nothing in it is as it comes.
fn unusual() -> EndpointConfig {
    let limits = KeyLimits::default()
        .with_soft_packets(77)
        .and_then(|limits| limits.with_hard_packets(800))
        .and_then(|limits| limits.with_soft_age(Duration::from_millis(1_500)))
        .and_then(|limits| limits.with_failed_opens(9));
    let streaming = Streaming {
        streaming_enabled: true,
        streaming_threshold: 5,
        piped_forwarding: false,
        streaming_shadow: true,
    };
    let transport = TransportConfig::default()
        .with_idle_timeout(Duration::from_millis(1_234))
        .and_then(|c| c.with_max_ack_delay(Duration::from_millis(3)))
        .and_then(|c| c.with_max_streams(7, 8))
        .and_then(|c| c.with_max_packet_size(1_300))
        .and_then(|c| c.with_max_loopback_packet_size(7_777))
        .and_then(|c| c.with_send_buffer(99_999))
        .and_then(|c| c.with_max_message_size(1_111))
        .and_then(|c| c.with_max_stream_window(88_888))
        .and_then(|c| c.with_stream_ranges(99))
        .and_then(|c| c.with_linger(Duration::from_secs(88)))
        .unwrap()
        .with_keep_alive(Some(Duration::from_secs(2)))
        .with_handshake_timeout(Duration::from_secs(3))
        .with_peer_patience(Duration::from_secs(7))
        .with_datagrams(4_444, DropRule::Newest)
        .with_controller(Algorithm::NewReno)
        .with_key_limits(limits.unwrap())
        .with_streaming(streaming)
        .with_stream_buffer(55_555)
        .with_stream_timeout(Some(Duration::from_secs(66)))
        .with_stuck_timeout(Some(Duration::from_secs(77)));
    let mut pairs = PairSecrets::default();
    pairs.insert(&NodeKey::from_seed(&[8; 32]).id(), &[9; 32]);
    pairs.insert(&NodeKey::from_seed(&[7; 32]).id(), &[6; 32]);
    EndpointConfig::new(NodeKey::from_seed(&[3; 32]))
        .with_memory(1 << 22, 17)
        .and_then(|c| c.with_half_open(33))
        .and_then(|c| c.with_shard(5))
        .unwrap()
        .with_network(Network::closed("a net", &[4; 32]))
        .with_pair_secrets(pairs)
        .with_ciphers(Ciphers::OnlyChaCha20Poly1305)
        .with_strangers(Strangers::Ignore)
        .with_retry(RetryPolicy::Always)
        .with_timer_granularity(Duration::from_micros(100))
        .with_send_limit(Some(12_345))
        .with_peer_limit(Some(6_789))
        .with_transport(transport)
}

fn parts(config: &EndpointConfig) -> (Vec<u8>, Vec<u8>) {
    let (mut settings, mut secrets) = (Vec::new(), Vec::new());
    config.put_settings(&mut settings);
    config.put_secrets(&mut secrets);
    (settings, secrets)
}

/// spec: R-TAPE-7
#[test]
fn every_setting_comes_back() {
    let plain = EndpointConfig::new(NodeKey::from_seed(&[3; 32]));
    for config in [plain.clone(), unusual()] {
        let (settings, secrets) = parts(&config);
        let read = EndpointConfig::from_tape(&settings, &mut Reader::new(&secrets)).unwrap();
        assert_eq!(read.fingerprint(), config.fingerprint());
        assert_eq!(parts(&read), (settings, secrets));
    }
    // Each setting of the unusual one is another, so none is lost on the way.
    let [(one, _), (other, _)] = [parts(&plain), parts(&unusual())];
    for ((number, value), (same, unusual)) in settings_of(&one).iter().zip(settings_of(&other)) {
        assert_eq!(*number, same);
        assert_ne!(*value, unusual, "setting {number}");
        if *number == 7 {
            let inner = |value: &[u8]| settings_of(Reader::new(value).blob().unwrap());
            let pairs = inner(value).into_iter().zip(inner(&unusual));
            for ((number, value), (_, unusual)) in pairs {
                assert_ne!(value, unusual, "setting {number} of transport");
            }
        }
    }
}

fn settings_of(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut from = Reader::new(bytes);
    let mut found = Vec::new();
    while let Some(number) = from.byte() {
        found.push((number, from.blob().unwrap().to_vec()));
    }
    found
}

/// spec: R-TAPE-7
#[test]
fn a_missing_setting_has_its_default_and_an_unknown_one_is_refused() {
    let (mut settings, secrets) = parts(&unusual());
    let read = |settings: &[u8]| EndpointConfig::from_tape(settings, &mut Reader::new(&secrets));
    let handshake = settings_of(&settings).remove(0).1;
    let mut least = [1, handshake.len() as u8 | 0x80, (handshake.len() >> 7) as u8].to_vec();
    if handshake.len() < 0x80 {
        least = [1, handshake.len() as u8].to_vec();
    }
    least.extend(handshake);
    assert_eq!(read(&least).unwrap().half_open, 1024);
    settings.extend([60, 1, 0]);
    assert!(read(&settings).is_none());
    for cut in 1..least.len() {
        assert!(read(&least[..cut]).is_none(), "{cut}");
    }
}
