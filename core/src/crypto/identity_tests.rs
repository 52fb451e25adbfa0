use alloc::format;
use alloc::string::ToString;

use super::*;

fn hex(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
    }
    out
}

/// The eight points of small order, canonical encodings, and encodings that are not canonical.
const SMALL: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

/// RFC 8032 section 7.1, test 1 and test 2.
///
/// spec: R-HS-2
#[test]
fn ids_and_signatures_are_those_of_rfc_8032() {
    let one = NodeKey::from_seed(&hex(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    ));
    assert_eq!(
        one.id().to_string(),
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    );
    let signature = one.sign(b"");
    assert_eq!(signature[..4], [0xe5, 0x56, 0x43, 0x00]);
    assert_eq!(one.id().verify(b"", &signature), Ok(()));
    let two = NodeKey::from_seed(&hex(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    ));
    assert_eq!(
        two.id().to_string(),
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    );
    assert_eq!(two.sign(&[0x72])[..4], [0x92, 0xa0, 0x09, 0xa9]);
    assert_eq!(two.id().verify(b"", &signature), Err(IdentityError::Signature));
    assert_eq!(one.id().verify(b"x", &signature), Err(IdentityError::Signature));
}

/// spec: R-HS-1, R-HS-2, R-HS-3
#[test]
fn an_id_survives_the_way_over_the_montgomery_form() {
    let mut signs = [0; 2];
    for n in 0..64u8 {
        let key = NodeKey::from_seed(&[n; 32]);
        let id = key.id();
        assert_eq!(id.montgomery(), *key.exchange_public());
        let secret = x25519_dalek::StaticSecret::from(*key.exchange_secret());
        assert_eq!(x25519_dalek::PublicKey::from(&secret).to_bytes(), *key.exchange_public());
        assert_eq!(NodeId::from_montgomery(&id.montgomery(), id.sign()), Ok(id));
        let other = if id.sign() == Sign::Positive { Sign::Negative } else { Sign::Positive };
        let opposite = NodeId::from_montgomery(&id.montgomery(), other).unwrap();
        assert_ne!(opposite, id);
        assert_eq!(opposite.montgomery(), id.montgomery());
        assert_eq!(NodeId::from_bytes(id.as_bytes()), Ok(id));
        signs[id.sign() as usize] += 1;
    }
    assert!(signs[0] > 8 && signs[1] > 8, "both signs must have been seen: {signs:?}");
}

/// spec: R-HS-3
#[test]
fn points_of_small_order_are_no_ids() {
    for text in SMALL {
        assert_eq!(NodeId::from_bytes(&hex(text)), Err(IdentityError::SmallOrder), "{text}");
    }
    // u = 0, 1, -1 and the two of order 8, and each with both signs.
    let of_order_8 = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ];
    let mut points: alloc::vec::Vec<[u8; 32]> = of_order_8.map(hex).to_vec();
    points.push([0; 32]);
    let mut one = [0; 32];
    one[0] = 1;
    points.push(one);
    for u in points {
        for sign in [Sign::Positive, Sign::Negative] {
            let error = NodeId::from_montgomery(&u, sign).unwrap_err();
            assert!(
                matches!(error, IdentityError::SmallOrder | IdentityError::NoPoint),
                "{u:02x?}: {error:?}"
            );
        }
    }
}

/// spec: R-HS-3
#[test]
fn what_is_not_canonical_or_not_on_the_curve_is_no_id() {
    // y = p + 3 is the point with y = 3, in bytes that no compression gives.
    let mut high = [0xff; 32];
    high[0] = 0xed + 3;
    high[31] = 0x7f;
    let mut low = [0; 32];
    low[0] = 3;
    assert!(NodeId::from_bytes(&low).is_ok());
    assert_eq!(NodeId::from_bytes(&high), Err(IdentityError::NotCanonical));
    // y = 2 has no x.
    low[0] = 2;
    assert_eq!(NodeId::from_bytes(&low), Err(IdentityError::NoPoint));

    // The same for u: 9 is the base point; 9 + p and 9 with the top bit say the same unreduced.
    let mut base = [0; 32];
    base[0] = 9;
    assert!(NodeId::from_montgomery(&base, Sign::Positive).is_ok());
    let mut unreduced = [0xff; 32];
    unreduced[0] = 0xed + 9;
    unreduced[31] = 0x7f;
    let mut masked = base;
    masked[31] = 0x80;
    for u in [unreduced, masked] {
        for sign in [Sign::Positive, Sign::Negative] {
            assert_eq!(NodeId::from_montgomery(&u, sign), Err(IdentityError::NotCanonical));
        }
    }
    // u = 2 lies on the twist, and so does -1.
    base[0] = 2;
    assert_eq!(NodeId::from_montgomery(&base, Sign::Positive), Err(IdentityError::NoPoint));
    let mut minus_one = [0xff; 32];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    assert_eq!(NodeId::from_montgomery(&minus_one, Sign::Positive), Err(IdentityError::NoPoint));
}

#[test]
fn the_text_form_goes_both_ways_and_debug_is_short() {
    let id = NodeKey::from_seed(&[7; 32]).id();
    let text = id.to_string();
    assert_eq!(text.parse(), Ok(id));
    assert_eq!(text.to_uppercase().parse(), Ok(id));
    assert_eq!(format!("{id:?}"), text[..8]);
    for bad in ["", "0", &text[1..], &text[2..], &format!("{text}00"), &text.replace('1', "g")] {
        assert_eq!(bad.parse::<NodeId>(), Err(IdentityError::Text), "{bad}");
    }
}

#[test]
fn a_key_shows_its_id_and_nothing_else() {
    let key = NodeKey::from_seed(&[9; 32]);
    assert_eq!(format!("{key:?}"), format!("NodeKey({:?})", key.id()));
    assert_eq!(*key.seed(), [9; 32]);
}
