//! qlog, read back by those who make qlog.

use aqueduct_core::tape::Payload;
use aqueduct_core::trace::{self, Way};
use aqueduct_tests::tapes::small;
use aqueduct_trace::{Format, export};
use qlog::events::EventData;
use qlog::reader::{Event, QlogSeqReader};

use crate::support::{bulk, losses, packets, tells, views};

fn written(tape: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let exported = export(tape, Format::Qlog, &mut out).unwrap();
    assert_eq!(exported.diverged, None);
    out
}

/// What the reader understands, and the names of what it takes for somebody's own.
fn read(file: &[u8]) -> (Vec<qlog::events::Event>, Vec<String>) {
    let reader = QlogSeqReader::new(Box::new(file)).unwrap();
    assert_eq!(reader.qlog.file_schema, "urn:ietf:params:qlog:file:sequential");
    assert_eq!(reader.qlog.trace.event_schemas.len(), 2);
    let (mut known, mut own) = (Vec::new(), Vec::new());
    for event in reader {
        match event {
            Event::Qlog(event) => known.push(event),
            Event::Json(event) => own.push(event.name),
        }
    }
    (known, own)
}

/// spec: R-RPT-9 R-RPT-12
#[test]
fn the_qlog_crate_reads_every_event() {
    for tape in small(Payload::Full).iter().chain(&bulk(Payload::Full)) {
        let file = written(tape);
        let (known, own) = read(&file);
        let records = file.iter().filter(|byte| **byte == 0x1e).count();
        assert_eq!(known.len() + own.len() + 1, records, "none is passed over");
        assert!(own.iter().all(|name| name.starts_with("aqueduct:")), "{own:?}");
        let views = views(tape);
        let (sent, came) = (packets(&views, Way::Sent), packets(&views, Way::Received));
        let count = |fits: fn(&EventData) -> bool| known.iter().filter(|e| fits(&e.data)).count();
        assert_eq!(count(|e| matches!(e, EventData::QuicPacketSent(_))), sent.len());
        assert_eq!(count(|e| matches!(e, EventData::QuicPacketReceived(_))), came.len());
        assert_eq!(count(|e| matches!(e, EventData::QuicPacketLost(_))), losses(&views));
        assert!(count(|e| matches!(e, EventData::QuicMetricsUpdated(_))) > 3);
        assert!(count(|e| matches!(e, EventData::QuicConnectionStateUpdated(_))) > 0);
        let frames = known.iter().filter_map(|event| match &event.data {
            EventData::QuicPacketSent(packet) => packet.frames.as_ref(),
            _ => None,
        });
        let opened = sent.iter().filter_map(|packet| packet.frames());
        let theirs: usize = frames.map(Vec::len).sum();
        assert_eq!(theirs, opened.map(Iterator::count).sum::<usize>());
        assert!(known.windows(2).all(|two| two[0].time <= two[1].time));
    }
}

/// spec: R-RPT-9
#[test]
fn packets_are_grouped_by_their_connection() {
    let file = written(&small(Payload::Full)[0]);
    let text = String::from_utf8(file).unwrap();
    for line in text.lines().skip(1).filter(|line| line.contains("quic:packet")) {
        assert!(line.contains(r#""group_id":"0.0""#), "{line}");
    }
}

/// spec: R-RPT-3 R-RPT-8 R-RPT-9
#[test]
fn an_elided_tape_gives_sizes_only_and_none_gives_payload() {
    let full = &small(Payload::Full)[0];
    assert!(!tells(&written(full)));
    let elided = trace::redact(full).unwrap();
    let (known, _) = read(&written(&elided));
    let sent: Vec<_> = known
        .iter()
        .filter_map(|event| match &event.data {
            EventData::QuicPacketSent(packet) => Some(packet),
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), packets(&views(full), Way::Sent).len());
    assert!(sent.iter().all(|packet| packet.frames.is_none()));
    assert!(sent.iter().all(|packet| packet.raw.as_ref().unwrap().length > Some(0)));
}
