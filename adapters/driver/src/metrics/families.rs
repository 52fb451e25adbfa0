//! The figures by name: what is exposed, what it means, and where it comes from.

use std::time::Duration;

use aqueduct_core::error::StreamCode;
use aqueduct_core::shaping::Class;
use prometheus_client::metrics::MetricType::{self, Counter, Gauge, Histogram};

use crate::figures::Figures;
use crate::latency::LatencyStats;

use Value::{Number, Time};

pub(super) type Labels = &'static [(&'static str, &'static str)];

/// What a sample says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Number(u64),
    Time(Duration),
}

/// Samples of one name. A counter's name is exposed with `_total` behind it.
pub(super) struct Family<T> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: MetricType,
    pub(super) samples: fn(&Figures) -> Vec<(Labels, T)>,
}

/// How long streamed messages took.
pub(super) const LATENCY: Family<LatencyStats> = Family {
    name: "aqueduct_streaming_latency_seconds",
    help: "From the announcement of a streamed message to its first bytes, and to its end.",
    kind: Histogram,
    samples: |f| {
        vec![
            (&[("phase", "first_fragment")], f.first_fragment),
            (&[("phase", "complete")], f.complete),
        ]
    },
};

/// Everything else.
pub(super) const FAMILIES: &[Family<Value>] = &[
    Family {
        name: "aqueduct_streaming_messages",
        help: "Messages by the way that they took: sent and taken or verified, received and read.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("mode", "streaming"), ("direction", "sent")], Number(f.messages.streamed_sent)),
                (
                    &[("mode", "streaming"), ("direction", "received")],
                    Number(f.messages.streamed_received),
                ),
                (&[("mode", "traditional"), ("direction", "sent")], Number(f.messages.whole_sent)),
                (
                    &[("mode", "traditional"), ("direction", "received")],
                    Number(f.messages.whole_received),
                ),
            ]
        },
    },
    Family {
        name: "aqueduct_streaming_bytes",
        help: "Bytes of these messages.",
        kind: Counter,
        samples: |f| {
            vec![
                (
                    &[("mode", "streaming"), ("direction", "sent")],
                    Number(f.messages.streamed_bytes_sent),
                ),
                (
                    &[("mode", "streaming"), ("direction", "received")],
                    Number(f.messages.streamed_bytes_received),
                ),
                (
                    &[("mode", "traditional"), ("direction", "sent")],
                    Number(f.messages.whole_bytes_sent),
                ),
                (
                    &[("mode", "traditional"), ("direction", "received")],
                    Number(f.messages.whole_bytes_received),
                ),
            ]
        },
    },
    Family {
        name: "aqueduct_streaming_buffer_bytes_max",
        help: "The most that one stream made this node hold at a time, in bytes.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.totals.streams.most_held))],
    },
    Family {
        name: "aqueduct_streaming_errors",
        help: "Streams that ended badly, by why.",
        kind: Counter,
        samples: errors,
    },
    Family {
        name: "aqueduct_streaming_mismatches",
        help: "Messages and other bodies that differed, read as a stream and put together as a \
               whole (shadow).",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.messages.streaming_mismatches_total))],
    },
    Family {
        name: "aqueduct_assemblies_delayed",
        help: "Streamed messages that had to wait for room to be put together.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.messages.assemblies_delayed))],
    },
    Family {
        name: "aqueduct_assembly_bytes_max",
        help: "The most bytes that messages being put together took at a time.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.messages.assembly_most))],
    },
    Family {
        name: "aqueduct_piped_streams",
        help: "Pipes that were begun.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.endpoint.pipes_begun))],
    },
    Family {
        name: "aqueduct_piped_streams_active",
        help: "Pipes that flow.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.endpoint.pipes.into()))],
    },
    Family {
        name: "aqueduct_piped_bytes",
        help: "Bytes that pipes took from their sources.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.endpoint.piped_bytes))],
    },
    Family {
        name: "aqueduct_piped_buffer_bytes",
        help: "Bytes that pipes hold, of what is held for their sources.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.endpoint.pipe_bytes))],
    },
    Family {
        name: "aqueduct_piped_buffer_bytes_max",
        help: "The most that one pipe held at a time, in bytes.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.endpoint.pipe_bytes_max))],
    },
    Family {
        name: "aqueduct_piped_errors",
        help: "Pipes that this node ended itself, and legs that it gave up, by why.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("type", "timeout")], Number(f.endpoint.pipes_timed_out)),
                (&[("type", "refused")], Number(f.endpoint.pipes_refused)),
                (&[("type", "detached")], Number(f.endpoint.legs_detached)),
            ]
        },
    },
    Family {
        name: "aqueduct_budget_bytes",
        help: "Memory that peers can make this node hold at most, in bytes.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.endpoint.budget_total))],
    },
    Family {
        name: "aqueduct_budget_committed_bytes",
        help: "Bytes of the budget that are reserved for connections or lent.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.endpoint.budget_committed))],
    },
    Family {
        name: "aqueduct_held_bytes",
        help: "Bytes that peers make this node hold.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.totals.now.bytes_held))],
    },
    Family {
        name: "aqueduct_credit_granted_bytes",
        help: "Bytes that peers can make this node hold: credit granted and not released.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.totals.now.credit_granted))],
    },
    Family {
        name: "aqueduct_connections",
        help: "Connections that are there.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.endpoint.connections.into()))],
    },
    Family {
        name: "aqueduct_half_open_handshakes",
        help: "Handshakes of strangers that are under way.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.endpoint.half_open.into()))],
    },
    Family {
        name: "aqueduct_handshakes",
        help: "Connections by who began them, and those whose handshake was completed.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("state", "dialled")], Number(f.endpoint.dialled)),
                (&[("state", "accepted")], Number(f.endpoint.accepted)),
                (&[("state", "established")], Number(f.endpoint.established)),
            ]
        },
    },
    Family {
        name: "aqueduct_handshakes_refused",
        help: "First packets of strangers that were turned away.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("cause", "busy")], Number(f.endpoint.refused_busy)),
                (&[("cause", "over_limit")], Number(f.endpoint.over_limit)),
            ]
        },
    },
    Family {
        name: "aqueduct_retries",
        help: "Retries sent to strangers, so that they show where they are.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.endpoint.retries))],
    },
    Family {
        name: "aqueduct_connections_ended",
        help: "Connections that ended, by why.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("cause", "local")], Number(f.endpoint.ended.local)),
                (&[("cause", "peer")], Number(f.endpoint.ended.peer)),
                (&[("cause", "lost")], Number(f.endpoint.ended.lost)),
                (&[("cause", "error")], Number(f.endpoint.ended.error)),
                (&[("cause", "handshake")], Number(f.endpoint.ended.handshake)),
            ]
        },
    },
    Family {
        name: "aqueduct_packets_sent",
        help: "Packets sent on connections.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.ledger.packets_sent))],
    },
    Family {
        name: "aqueduct_packets_received",
        help: "Packets taken in on connections.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.acks.received))],
    },
    Family {
        name: "aqueduct_packets_acked",
        help: "Packets acknowledged by peers.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.ledger.acked))],
    },
    Family {
        name: "aqueduct_packets_lost",
        help: "Packets declared lost.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.ledger.lost))],
    },
    Family {
        name: "aqueduct_packets_lost_spuriously",
        help: "Packets declared lost and acknowledged after all.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.ledger.spurious))],
    },
    Family {
        name: "aqueduct_packets_reordered",
        help: "Packets that came after one that was sent later.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.acks.reordered))],
    },
    Family {
        name: "aqueduct_probe_timeouts",
        help: "Times that a peer was silent for too long and was probed.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.ledger.probe_timeouts))],
    },
    Family {
        name: "aqueduct_persistent_congestion",
        help: "Times that a path was so congested that sending began anew.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.ledger.persistent_congestion))],
    },
    Family {
        name: "aqueduct_bandwidth_bytes",
        help: "Bytes of datagrams handed to sockets and taken from them, by direction and class.",
        kind: Counter,
        samples: |f| {
            let it = f.totals.bandwidth;
            vec![
                (&[("direction", "sent"), ("class", "control")], Number(it.sent(Class::Control))),
                (&[("direction", "sent"), ("class", "normal")], Number(it.sent(Class::Normal))),
                (&[("direction", "sent"), ("class", "bulk")], Number(it.sent(Class::Bulk))),
                (
                    &[("direction", "received"), ("class", "control")],
                    Number(it.received(Class::Control)),
                ),
                (
                    &[("direction", "received"), ("class", "normal")],
                    Number(it.received(Class::Normal)),
                ),
                (&[("direction", "received"), ("class", "bulk")], Number(it.received(Class::Bulk))),
            ]
        },
    },
    Family {
        name: "aqueduct_qos_drops",
        help: "Unreliable datagrams dropped unsent, for want of room or as too old, by class.",
        kind: Counter,
        samples: |f| {
            let it = f.totals.bandwidth;
            vec![
                (&[("class", "control")], Number(it.dropped(Class::Control))),
                (&[("class", "normal")], Number(it.dropped(Class::Normal))),
                (&[("class", "bulk")], Number(it.dropped(Class::Bulk))),
            ]
        },
    },
    Family {
        name: "aqueduct_resent_bytes",
        help: "Bytes of streams that were sent again.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.streams.resent))],
    },
    Family {
        name: "aqueduct_discards",
        help: "Datagrams and packets that were discarded, by why.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("cause", "malformed")], Number(f.endpoint.malformed)),
                (&[("cause", "stray")], Number(f.endpoint.strays)),
                (&[("cause", "handshake")], Number(f.endpoint.handshake_discarded)),
                (&[("cause", "duplicate")], Number(f.endpoint.duplicates)),
                (&[("cause", "not_data")], Number(f.totals.keys.not_data)),
                (&[("cause", "wrong_tag")], Number(f.totals.keys.failed)),
                (&[("cause", "replayed")], Number(f.totals.keys.replayed)),
                (&[("cause", "below_window")], Number(f.totals.keys.below_window)),
                (&[("cause", "old_key")], Number(f.totals.keys.old_phase)),
            ]
        },
    },
    Family {
        name: "aqueduct_stateless_resets",
        help: "Stateless resets sent.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.endpoint.resets))],
    },
    Family {
        name: "aqueduct_key_updates",
        help: "Key updates, by who began them.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("by", "this_side")], Number(f.totals.keys.updates_started)),
                (&[("by", "peer")], Number(f.totals.keys.updates_followed)),
            ]
        },
    },
    Family {
        name: "aqueduct_rtt_seconds",
        help: "Smoothed round trips of the connections that are there.",
        kind: Gauge,
        samples: |f| {
            vec![
                (&[("of", "least")], Time(f.totals.now.rtt_least)),
                (&[("of", "mean")], Time(mean_rtt(f))),
                (&[("of", "most")], Time(f.totals.now.rtt_most)),
            ]
        },
    },
    Family {
        name: "aqueduct_congestion_window_bytes",
        help: "What congestion control lets be in flight, all connections together.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.totals.now.congestion_window))],
    },
    Family {
        name: "aqueduct_in_flight_bytes",
        help: "Bytes in flight, all connections together.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.totals.now.bytes_in_flight))],
    },
    Family {
        name: "aqueduct_streams",
        help: "Streams that are not over.",
        kind: Gauge,
        samples: |f| vec![(&[], Number(f.totals.now.streams))],
    },
    Family {
        name: "aqueduct_streams_opened",
        help: "Streams, by who opened them.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("by", "this_side")], Number(f.totals.streams.opened)),
                (&[("by", "peer")], Number(f.totals.streams.announced)),
            ]
        },
    },
    Family {
        name: "aqueduct_messages_unreliable",
        help: "Unreliable datagrams of applications, by what became of them.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("fate", "sent")], Number(f.totals.datagrams.sent)),
                (&[("fate", "acked")], Number(f.totals.datagrams.acked)),
                (&[("fate", "lost")], Number(f.totals.datagrams.lost)),
                (
                    &[("fate", "not_sent")],
                    Number(f.totals.datagrams.send_dropped + f.totals.datagrams.send_unsendable),
                ),
                (&[("fate", "too_old")], Number(f.totals.datagrams.send_expired)),
                (&[("fate", "received")], Number(f.totals.datagrams.received)),
                (
                    &[("fate", "not_taken")],
                    Number(f.totals.datagrams.recv_dropped + f.totals.datagrams.recv_no_room),
                ),
            ]
        },
    },
    Family {
        name: "aqueduct_messages_expired",
        help: "Messages of this side that were given up because they were too old.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.totals.messages_expired))],
    },
    Family {
        name: "aqueduct_udp_datagrams",
        help: "UDP datagrams.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("direction", "sent")], Number(f.io.datagrams_sent)),
                (&[("direction", "received")], Number(f.io.datagrams_received)),
            ]
        },
    },
    Family {
        name: "aqueduct_udp_bytes",
        help: "Bytes of UDP payload.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("direction", "sent")], Number(f.io.bytes_sent)),
                (&[("direction", "received")], Number(f.io.bytes_received)),
            ]
        },
    },
    Family {
        name: "aqueduct_socket_calls",
        help: "System calls that sent or received something.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("direction", "sent")], Number(f.io.sends)),
                (&[("direction", "received")], Number(f.io.receives)),
            ]
        },
    },
    Family {
        name: "aqueduct_socket_errors",
        help: "System calls that failed.",
        kind: Counter,
        samples: |f| {
            vec![
                (&[("direction", "sent")], Number(f.io.send_errors)),
                (&[("direction", "received")], Number(f.io.recv_errors)),
            ]
        },
    },
    Family {
        name: "aqueduct_socket_blocked",
        help: "Times that the socket was full.",
        kind: Counter,
        samples: |f| vec![(&[], Number(f.io.blocked))],
    },
];

fn mean_rtt(f: &Figures) -> Duration {
    f.totals.now.rtt_sum.checked_div(f.totals.now.measured).unwrap_or_default()
}

/// Streams that ended badly: what the core saw, and what was found in messages and bodies.
fn errors(f: &Figures) -> Vec<(Labels, Value)> {
    let core = &f.totals.streams.errors;
    let mut samples: Vec<(Labels, Value)> = StreamCode::ALL
        .into_iter()
        .filter_map(|code| {
            let found = match code {
                // Those that a peer found end with its reset, which the core saw.
                StreamCode::VerificationFailed => {
                    f.messages.verification_failures + f.messages.bodies_damaged
                }
                StreamCode::WrongSize => f.messages.size_failures,
                _ => 0,
            };
            Some((error_type(code)?, Number(core.of(code) + found)))
        })
        .collect();
    samples.push((&[("type", "reset")], Number(core.application())));
    samples
}

fn error_type(code: StreamCode) -> Option<Labels> {
    Some(match code {
        StreamCode::Timeout => &[("type", "timeout")],
        StreamCode::BufferOverflow => &[("type", "buffer_overflow")],
        StreamCode::InvalidRange => &[("type", "invalid_range")],
        StreamCode::ConnectionLost => &[("type", "connection_lost")],
        StreamCode::VerificationFailed => &[("type", "verification_failed")],
        StreamCode::Refused => &[("type", "refused")],
        StreamCode::Cancelled => &[("type", "cancelled")],
        StreamCode::Detached => &[("type", "detached")],
        StreamCode::HopLimit => &[("type", "hop_limit")],
        StreamCode::Unreachable => &[("type", "unreachable")],
        StreamCode::WrongSize => &[("type", "wrong_size")],
        _ => return None,
    })
}

#[cfg(test)]
#[path = "families_tests.rs"]
mod tests;
