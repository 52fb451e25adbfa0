use super::*;

/// spec: R-PKT-19
#[test]
fn numbers_stand_in_their_order() {
    let params = Params {
        initial_max_data: 20,
        initial_max_stream_data: 2,
        max_streams_bidi: 3,
        max_streams_uni: 4,
        idle_timeout_ms: 5,
        max_ack_delay_us: 6,
        max_datagram_frame: 7,
        max_packet_size: 1_200,
        active_cid_limit: 8,
        max_message_size: 10,
        reset_token: [11; 16],
    };
    let mut bytes = Vec::new();
    params.encode(&mut bytes);
    assert_eq!(bytes[..12], [1, 20, 2, 3, 4, 5, 6, 7, 0x44, 0xb0, 8, 10]);
    assert_eq!(bytes[12..], [11; 16]);
    assert_eq!(Params::default().check(), Ok(()));
}

/// spec: R-PKT-20
#[test]
fn no_stream_needs_no_credit() {
    let params = Params {
        initial_max_data: 0,
        initial_max_stream_data: 16_384,
        max_streams_bidi: 0,
        max_streams_uni: 0,
        ..Params::default()
    };
    assert_eq!(params.check(), Ok(()));
    assert!(Params { max_streams_uni: 1, ..params }.check().is_err());
    assert!(Params { max_message_size: 1 << 62, ..params }.check().is_err());
}

/// spec: R-PKT-21
#[test]
fn unknown_extensions_are_passed_over_up_to_32() {
    let mut bytes = Vec::new();
    Params::default().encode(&mut bytes);
    for id in 0..32 {
        bytes.extend([id, 1, 0xee]);
        assert_eq!(Params::decode(&bytes), Ok(Params::default()));
    }
    bytes.extend([32, 0]);
    assert_eq!(Params::decode(&bytes), Err(DecodeError::Parameters("too many extensions")));
}
