//! Packets, what stands in them before there are keys, and parameters.

use super::*;

/// Sealed bytes stand in the vectors as counters from a start that tells the fields apart.
fn counter<const N: usize>(from: u8) -> &'static [u8; N] {
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = from.wrapping_add(at as u8);
    }
    Box::leak(Box::new(bytes))
}

fn packet_cases() -> Vec<(&'static str, LongPacket<'static>)> {
    let (scid, dcid) = (ConnectionId(*counter(0x10)), ConnectionId(*counter(0x20)));
    let (cookie, e, s, mac) = (counter(0x30), counter(0x50), counter(0x80), counter(0xf0));
    let hello = counter::<56>(0);
    let packet = |body: LongBody<'static>| {
        let dcid = if body.kind().begins() { ConnectionId::ZERO } else { dcid };
        LongPacket { header: LongHeader::new(body.kind(), scid, dcid), body, mac }
    };
    let i1 = |cookie| LongBody::I1 { cookie, e, s, payload: counter::<{ I1_PAYLOAD_LEN + 16 }>(0) };
    let x1 = |cookie| LongBody::X1 { cookie, e, payload: counter::<{ X1_PAYLOAD_LEN + 16 }>(0) };
    let versions = |bytes| LongBody::Version { versions: VersionList::new(bytes) };
    std::vec![
        ("i1", packet(i1(&[0; 24]))),
        ("i1-with-cookie", packet(i1(cookie))),
        ("r2-smallest", packet(LongBody::R2 { e, payload: hello })),
        ("r2-largest", packet(LongBody::R2 { e, payload: counter::<1_132>(0) })),
        ("x1", packet(x1(&[0; 24]))),
        ("x1-with-cookie", packet(x1(cookie))),
        ("x2-smallest", packet(LongBody::X2 { e, s, payload: hello })),
        ("x2-largest", packet(LongBody::X2 { e, s, payload: counter::<1_084>(0) })),
        ("x3-smallest", packet(LongBody::X3 { s, payload: hello })),
        ("x3-largest", packet(LongBody::X3 { s, payload: counter::<1_116>(0) })),
        ("retry", packet(LongBody::Retry { cookie })),
        ("version-one", packet(versions(&[0, 1]))),
        ("version-three", packet(versions(&[0, 2, 0, 1, 0xff, 0xfe]))),
    ]
}

fn short_cases() -> Vec<(&'static str, ShortHeader)> {
    let dcid = ConnectionId(*counter(0x20));
    std::vec![
        ("short-header", ShortHeader { key_phase: false, dcid, number: 1 }),
        ("short-header-key-phase", ShortHeader { key_phase: true, dcid, number: u32::MAX }),
    ]
}

fn packet_meaning(packet: &LongPacket<'_>) -> String {
    let sealed = |payload: &[u8]| format!("payload {} sealed bytes", payload.len());
    let body = match &packet.body {
        LongBody::I1 { cookie, payload, .. } => {
            format!("cookie {}, e, s, {}", hex(*cookie), sealed(payload))
        }
        LongBody::X1 { cookie, payload, .. } => {
            format!("cookie {}, e, {}", hex(*cookie), sealed(payload))
        }
        LongBody::R2 { payload, .. } => format!("e, {}", sealed(payload)),
        LongBody::X2 { payload, .. } => format!("e, s, {}", sealed(payload)),
        LongBody::X3 { payload, .. } => format!("s, {}", sealed(payload)),
        LongBody::Retry { cookie } => format!("cookie {}", hex(*cookie)),
        LongBody::Version { versions } => format!("versions {versions:?}"),
    };
    format!("{:?}; {body}; mac {}", packet.header, hex(packet.mac))
}

pub(crate) fn packet_vectors() -> Vec<Vector> {
    let long = packet_cases().into_iter().map(|(name, packet)| {
        let mut bytes = Vec::new();
        packet.encode(&mut bytes);
        Vector::new(name, bytes, packet_meaning(&packet))
    });
    let short = short_cases().into_iter().map(|(name, header)| {
        Vector::new(name, header.encode().to_vec(), format!("{header:?}, not protected"))
    });
    long.chain(short).collect()
}

/// spec: R-PKT-2, R-PKT-3, R-PKT-8, R-PKT-11, R-PKT-12
#[test]
fn packets_are_as_the_vectors_say() {
    check("packets.txt", &packet_vectors());
    let golden = read("packets.txt");
    let (long, short) = golden.split_at(packet_cases().len());
    for (golden, (name, packet)) in long.iter().zip(packet_cases()) {
        assert_eq!(LongPacket::decode(&golden.bytes), Ok(packet), "{name}");
    }
    for (golden, (name, header)) in short.iter().zip(short_cases()) {
        assert_eq!(ShortHeader::decode(&golden.bytes), Ok(header), "{name}");
    }
    let kind = |vector: &Vector| LongHeader::decode(&vector.bytes).expect("a long header").kind;
    let seen: BTreeSet<PacketType> = long.iter().map(kind).collect();
    assert_eq!(seen, PacketType::ALL.into_iter().collect(), "every type of packet");
    assert_eq!(short.len(), 2);
}

// ---- handshake payloads and parameters ----

fn hello_cases() -> Vec<(&'static str, Hello<'static>, usize)> {
    let (scid, dcid) = (ConnectionId([1; 8]), ConnectionId([2; 8]));
    let hello = |kind| Hello::new(kind, scid, dcid);
    let first = |kind| Hello::new(kind, scid, ConnectionId::ZERO);
    let seen = VersionList::new(&[0, 2, 0, 1]);
    let full = Hello {
        sign: true,
        early_data_taken: true,
        status: 4,
        ciphers: 2,
        versions: [1, 2, 3, 0xffff],
        suites: [1, 2, 3, 0xff],
        capabilities: u64::MAX,
        params: Some(b"params"),
        early_data: Some(b"early"),
        versions_seen: Some(seen),
        ..hello(PacketType::R2)
    };
    std::vec![
        ("i1", first(PacketType::I1), I1_PAYLOAD_LEN),
        ("x1", first(PacketType::X1), X1_PAYLOAD_LEN),
        ("r2", hello(PacketType::R2), 40),
        ("x2", hello(PacketType::X2), 40),
        ("x3", hello(PacketType::X3), 40),
        ("sign", Hello { sign: true, ..hello(PacketType::X3) }, 40),
        ("refused-busy", Hello { status: 4, ..hello(PacketType::R2) }, 40),
        ("params", Hello { params: Some(b"params"), ..hello(PacketType::R2) }, 49),
        ("early-data", Hello { early_data: Some(b""), ..first(PacketType::I1) }, 43),
        ("versions-seen", Hello { versions_seen: Some(seen), ..first(PacketType::I1) }, 47),
        ("padded-by-one", hello(PacketType::R2), 41),
        ("padded-by-two", Hello { params: Some(b""), ..hello(PacketType::R2) }, 45),
        ("full", full.clone(), full.encoded_len() + 3),
    ]
}

pub(super) fn hello_vectors() -> Vec<Vector> {
    let cases = hello_cases().into_iter();
    cases
        .map(|(name, hello, padded_to)| {
            let mut bytes = Vec::new();
            assert!(hello.encode(padded_to, &mut bytes), "{name}");
            assert_eq!(bytes.len(), padded_to);
            Vector::new(name, bytes, format!("{hello:?}"))
        })
        .collect()
}

/// spec: R-PKT-15, R-PKT-16, R-PKT-17, R-PKT-18
#[test]
fn hellos_are_as_the_vectors_say() {
    check("hello.txt", &hello_vectors());
    for (golden, (name, hello, _)) in read("hello.txt").iter().zip(hello_cases()) {
        assert_eq!(Hello::decode(&golden.bytes), Ok(hello), "{name}");
    }
}

fn params_cases() -> Vec<(&'static str, Params)> {
    let most = Params {
        initial_max_data: (1 << 62) - 1,
        initial_max_stream_data: (1 << 62) - 1,
        max_streams_bidi: 1 << 60,
        max_streams_uni: 1 << 60,
        idle_timeout_ms: 86_400_000,
        max_ack_delay_us: 1_000_000,
        max_datagram_frame: 65_527,
        max_packet_size: 65_527,
        active_cid_limit: 8,
        max_message_size: (1 << 62) - 1,
        reset_token: [0xff; 16],
    };
    let least = Params {
        initial_max_data: 0,
        initial_max_stream_data: 0,
        max_streams_bidi: 0,
        max_streams_uni: 0,
        idle_timeout_ms: 1,
        max_ack_delay_us: 0,
        max_datagram_frame: 0,
        max_packet_size: 1_200,
        active_cid_limit: 2,
        max_message_size: 0,
        reset_token: [0; 16],
    };
    std::vec![("default", Params::default()), ("least", least), ("most", most)]
}

pub(super) fn params_vectors() -> Vec<Vector> {
    let cases = params_cases().into_iter();
    cases
        .map(|(name, params)| {
            let mut bytes = Vec::new();
            params.encode(&mut bytes);
            Vector::new(name, bytes, format!("{params:?}"))
        })
        .collect()
}

/// spec: R-PKT-19
#[test]
fn parameters_are_as_the_vectors_say() {
    check("params.txt", &params_vectors());
    for (golden, (name, params)) in read("params.txt").iter().zip(params_cases()) {
        assert_eq!(Params::decode(&golden.bytes), Ok(params), "{name}");
    }
}

pub(super) fn refused_params() -> Vec<Vector> {
    // Ten numbers: credit, stream credit, bi, uni, idle, ack delay, datagram, packet, ids, message.
    let good: [u64; 10] = [100, 10, 1, 1, 1_000, 10, 0, 1_200, 2, 0];
    let change = |at: usize, value: u64| {
        let mut numbers = good;
        numbers[at] = value;
        numbers.to_vec()
    };
    let encode = |version: u8, numbers: &[u64], behind: &str| {
        let mut bytes = std::vec![version];
        for number in numbers {
            crate::wire::codec::Put::varint(&mut bytes, *number);
        }
        bytes.extend([0; 16]);
        bytes.extend(unhex(behind));
        bytes
    };
    let many: String = (0..33).map(|id| format!("{id:02x}00")).collect();
    let cases = [
        ("empty", Vec::new()),
        ("version", encode(2, &good, "")),
        ("cut", encode(1, &good[1..], "")),
        ("streams-bi", encode(1, &change(2, (1 << 60) + 1), "")),
        ("streams-uni", encode(1, &change(3, (1 << 60) + 1), "")),
        ("stream-credit-above-credit", encode(1, &change(1, 101), "")),
        ("idle-nothing", encode(1, &change(4, 0), "")),
        ("idle-too-long", encode(1, &change(4, 86_400_001), "")),
        ("ack-delay-too-long", encode(1, &change(5, 1_000_001), "")),
        ("ack-delay-not-below-idle", encode(1, &change(5, 1_000_000), "")),
        ("datagram-too-large", encode(1, &change(6, 65_528), "")),
        ("packet-too-small", encode(1, &change(7, 1_199), "")),
        ("packet-too-large", encode(1, &change(7, 65_528), "")),
        ("one-id", encode(1, &change(8, 1), "")),
        ("nine-ids", encode(1, &change(8, 9), "")),
        ("extension-twice", encode(1, &good, "050005 00".replace(' ', "").as_str())),
        ("extension-cut", encode(1, &good, "050161".trim_end_matches("61"))),
        ("too-many-extensions", encode(1, &good, &many)),
    ];
    assert!(Params::decode(&encode(1, &good, "05016106024162")).is_ok(), "the base is legal");
    let refused = |(name, bytes): (&str, Vec<u8>)| {
        let error = Params::decode(&bytes).expect_err(name);
        assert!(matches!(error, DecodeError::Parameters(_)), "{name}: {error:?}");
        Vector::new(name, bytes, error)
    };
    cases.into_iter().map(refused).collect()
}

/// spec: R-PKT-20, R-PKT-21
#[test]
fn parameters_are_refused_as_the_vectors_say() {
    check("params-refused.txt", &refused_params());
}
