use proptest::prelude::*;

use super::*;

fn offer() -> impl Strategy<Value = Offer> {
    (any::<u64>(), any::<Option<u64>>(), any::<bool>(), "[a-zä日]{1,80}")
        .prop_map(|(entries, bytes, folders, name)| Offer { entries, bytes, folders, name })
}

fn reply() -> impl Strategy<Value = Reply> {
    let code = (0u8..=10).prop_map(Code::from_byte);
    let summary = (any::<u64>(), any::<u64>(), any::<[u8; 32]>())
        .prop_map(|(entries, bytes, digest)| Summary { entries, bytes, digest });
    prop_oneof![
        Just(Reply::Accept),
        (code.clone(), ".{0,40}").prop_map(|(code, words)| Reply::Refuse(code, words)),
        (code, ".{0,40}").prop_map(|(code, words)| Reply::Failed(code, words)),
        summary.prop_map(Reply::Done),
    ]
}

/// spec: R-FILE-1
#[test]
fn the_introduction_names_the_protocol() {
    let offer = Offer { entries: 1, bytes: Some(5), folders: false, name: "a".into() };
    let options = offer.to_options();
    assert_eq!(options.protocol, StreamProtocol::name("aqueduct-file/1"));
    assert_eq!(&options.head[..], b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x05a");
    assert_eq!(offer_of(b"\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x05a"), None, "an unknown flag");
    assert_eq!(offer_of(b"\x00\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x05a"), None, "unknown, yet 5");
    assert_eq!(offer_of(b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x05"), None, "no name");
    assert_eq!(offer_of(b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x05\xff"), None, "no UTF-8");
}

fn offer_of(head: &[u8]) -> Option<Offer> {
    Offer::from_head(head)
}

/// spec: R-FILE-2
#[test]
fn a_long_name_is_cut_between_letters() {
    let offer = Offer { entries: 1, bytes: None, folders: true, name: "ä".repeat(200) };
    let head = offer.to_options().head;
    assert_eq!(Offer::from_head(&head).unwrap().name, "ä".repeat(127));
}

/// spec: R-FILE-3
#[test]
fn codes_of_later_versions_are_failures() {
    for byte in 0..=255 {
        let code = Code::from_byte(byte);
        assert!(code as u8 == byte || code == Code::Failed);
    }
    let words = "x".repeat(2000);
    let bytes = Reply::Failed(Code::Space, words).to_bytes();
    let (reply, _) = Reply::from_bytes(&bytes).unwrap().unwrap();
    assert_eq!(reply, Reply::Failed(Code::Space, "x".repeat(512)));
    assert!(Reply::from_bytes(&[0x82, 1, 0xff, 0xff]).is_err());
    assert!(Reply::from_bytes(&[0x80]).is_err());
}

proptest! {
    /// spec: R-FILE-2
    #[test]
    fn offers_come_out_as_they_went_in(offer in offer()) {
        let read = Offer::from_head(&offer.to_options().head);
        prop_assert_eq!(read, Some(offer));
    }

    /// spec: R-FILE-2, R-LIM-4
    #[test]
    fn any_head_is_an_offer_or_none(head in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Some(offer) = Offer::from_head(&head) {
            prop_assert_eq!(&offer.to_options().head[..], &head[..]);
        }
    }

    /// spec: R-FILE-3
    #[test]
    fn replies_come_out_whole_or_not_yet(reply in reply(), more: u8) {
        let mut bytes = reply.to_bytes();
        let len = bytes.len();
        for cut in 0..len {
            prop_assert_eq!(Reply::from_bytes(&bytes[..cut]), Ok(None));
        }
        bytes.push(more);
        prop_assert_eq!(Reply::from_bytes(&bytes), Ok(Some((reply, len))));
    }

    /// spec: R-FILE-3, R-LIM-4
    #[test]
    fn any_bytes_are_a_reply_or_none(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Reply::from_bytes(&bytes);
    }
}
