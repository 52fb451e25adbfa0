//! pcapng, read back by a parser of others', and by Wireshark's tools where they are.

use std::process::Command;

use aqueduct_core::tape::Payload;
use aqueduct_core::trace::{self, Way};
use aqueduct_tests::tapes::small;
use aqueduct_trace::{Format, export};
use pcap_parser::pcapng::{Block, EnhancedPacketBlock};
use pcap_parser::{Linktype, parse_block_le};

use crate::support::{bulk, crowded, packets, views};

fn written(tape: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    export(tape, Format::Pcapng, &mut out).unwrap();
    out
}

/// Each captured packet: nanoseconds, captured bytes, length on the wire.
fn read(file: &[u8]) -> Vec<(u64, Vec<u8>, u32)> {
    let (mut rest, mut interfaces, mut found) = (file, 0, Vec::new());
    while !rest.is_empty() {
        let (after, block) = parse_block_le(rest).expect("a block");
        rest = after;
        match block {
            Block::SectionHeader(_) => assert_eq!(interfaces, 0),
            Block::InterfaceDescription(interface) => {
                interfaces += 1;
                assert_eq!((interface.linktype, interface.if_tsresol), (Linktype::RAW, 9));
            }
            Block::EnhancedPacket(packet) => {
                assert!(packet.if_id < interfaces);
                let EnhancedPacketBlock { ts_high, ts_low, caplen, origlen, data, .. } = packet;
                let bytes = data[..caplen as usize].to_vec();
                found.push((u64::from(ts_high) << 32 | u64::from(ts_low), bytes, origlen));
            }
            other => panic!("{other:?}"),
        }
    }
    found
}

/// spec: R-RPT-11 R-RPT-12
#[test]
fn every_datagram_is_in_it() {
    for tape in small(Payload::Full).iter().chain(&bulk(Payload::Full)) {
        let found = read(&written(tape));
        let views = views(tape);
        let all: Vec<_> = views
            .iter()
            .filter_map(|view| match &view.what {
                trace::Seen::Packet(packet) => Some((view.time.as_nanos(), packet)),
                _ => None,
            })
            .collect();
        assert_eq!(found.len(), all.len());
        for ((at, bytes, length), (time, packet)) in found.iter().zip(all) {
            let head = if bytes[0] >> 4 == 4 { 28 } else { 48 };
            assert_eq!(*at, time);
            assert_eq!(&bytes[head..], packet.datagram.as_deref().unwrap());
            assert_eq!(*length as usize, head + packet.size);
            let port = if packet.way == Way::Sent { head - 6 } else { head - 8 };
            let port = u16::from_be_bytes([bytes[port], bytes[port + 1]]);
            assert_eq!(port, packet.route.remote.port());
        }
    }
}

/// spec: R-RPT-11 R-RPT-3
#[test]
fn bytes_that_are_not_to_be_had_are_left_away_and_the_length_stays() {
    let full = &small(Payload::Full)[0];
    let elided = trace::redact(full).unwrap();
    let (whole, cut) = (read(&written(full)), read(&written(&elided)));
    assert_eq!(whole.len(), cut.len());
    for (whole, cut) in whole.iter().zip(&cut) {
        assert_eq!((whole.0, whole.2), (cut.0, cut.2));
        assert!(cut.1.len() == 28 || cut.1.len() == 48);
    }
    let sent = packets(&views(&bulk(Payload::Referenced)[0]), Way::Sent);
    assert!(sent.iter().all(|packet| packet.datagram.is_none()));
}

/// spec: R-RPT-11
#[test]
fn wireshark_reads_it() {
    let place = tempfile::tempdir().unwrap();
    let v6 = crowded();
    for (name, tape, least) in [("v4", &bulk(Payload::Full)[0], 200), ("v6", &v6, 300_000)] {
        let file = place.path().join(name).with_extension("pcapng");
        std::fs::write(&file, written(tape)).unwrap();
        let Ok(said) = Command::new("capinfos").arg("-Mc").arg(&file).output() else {
            println!("SAID ALOUD: no capinfos here; the file was read by a parser only");
            return;
        };
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let count = text.lines().find_map(|line| line.strip_prefix("Number of packets:"));
        let count: usize = count.expect("a count").trim().parse().unwrap();
        assert!(said.status.success() && count >= least, "{text}");
        if name == "v6" {
            continue;
        }
        // Nothing is malformed, and every checksum is right.
        let mut tshark = Command::new("tshark");
        tshark.args(["-n", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]);
        let filter = "_ws.malformed || _ws.short || ip.checksum.status == Bad \
            || udp.checksum.status == Bad";
        let Ok(bad) = tshark.args(["-Y", filter, "-r"]).arg(&file).output() else {
            println!("SAID ALOUD: no tshark here; packets were counted and not taken apart");
            continue;
        };
        assert!(bad.status.success(), "{}", String::from_utf8_lossy(&bad.stderr));
        assert_eq!(String::from_utf8_lossy(&bad.stdout), "");
    }
}
