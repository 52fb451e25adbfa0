use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use aqueduct_tokio::{NodeId, NodeKey};
use proptest::prelude::*;

use super::*;

fn id(seed: u8) -> NodeId {
    NodeKey::from_seed(&[seed; 32]).id()
}

fn spell(body: &[u8]) -> String {
    let mut bytes = body.to_vec();
    bytes.extend(check_of(body));
    format!("aq1{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

/// spec: R-TKT-1, R-TKT-2
#[test]
fn golden_tickets_are_written_and_read_as_ever() {
    let vectors = include_str!("../../../spec/vectors/tickets.txt");
    let mut seen = 0;
    for line in vectors.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut fields = line.split(" | ").map(str::trim);
        let (text, id, addrs) =
            (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap_or(""));
        let addrs: Vec<SocketAddr> =
            addrs.split_whitespace().map(|addr| addr.parse().unwrap()).collect();
        let ticket = Ticket::new(id.parse().unwrap(), &addrs);
        assert_eq!(ticket.to_string(), text);
        assert_eq!(text.parse::<Ticket>(), Ok(ticket));
        seen += 1;
    }
    assert!(seen >= 5, "{seen} vectors");
}

/// spec: R-TKT-2
#[test]
fn every_wrong_letter_is_noticed() {
    let text = Ticket::new(id(1), &["192.0.2.7:4433".parse().unwrap()]).to_string();
    for at in 0..text.len() {
        for letter in "abcdefghijklmnopqrstuvwxyz234567018-A ".chars() {
            let mut other: Vec<char> = text.chars().collect();
            if other[at] == letter {
                continue;
            }
            other[at] = letter;
            let other: String = other.into_iter().collect();
            assert!(other.parse::<Ticket>().is_err(), "{other}");
        }
    }
    for cut in 0..text.len() {
        assert!(text[..cut].parse::<Ticket>().is_err());
    }
}

/// spec: R-TKT-2
#[test]
fn there_is_one_spelling() {
    let text = Ticket::new(id(1), &[]).to_string();
    assert!(text.to_ascii_uppercase().parse::<Ticket>().is_err());
    assert!(format!("{text} ").parse::<Ticket>().is_err());
    assert!(format!("{text}=").parse::<Ticket>().is_err());
    assert!(format!("{text}a").parse::<Ticket>().is_err());
}

/// spec: R-TKT-3
#[test]
fn length_and_count_are_bounded() {
    let addrs: Vec<SocketAddr> = (1..=40)
        .map(|n| SocketAddr::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into(), n))
        .collect();
    let ticket = Ticket::new(id(2), &addrs);
    assert_eq!(ticket.addrs(), &addrs[..MAX_ADDRS]);
    let text = ticket.to_string();
    assert_eq!(text.len(), MAX_TEXT);
    assert_eq!(text.parse::<Ticket>(), Ok(ticket));
    let mut body = id(2).as_bytes().to_vec();
    body.push(17);
    assert_eq!(spell(&body).parse::<Ticket>(), Err(TicketError::Length));
    body.extend([0; 17 * 19]);
    assert_eq!(spell(&body).parse::<Ticket>(), Err(TicketError::Length));
    assert_eq!("aq1".parse::<Ticket>(), Err(TicketError::Length));
    assert_eq!("".parse::<Ticket>(), Err(TicketError::Prefix));
}

/// spec: R-TKT-4
#[test]
fn only_addresses_that_can_be_dialled() {
    let wrong = [
        "0.0.0.0:1",
        "[::]:1",
        "10.0.0.1:0",
        "224.0.0.1:5",
        "[ff02::1]:5",
        "255.255.255.255:9",
        "[::ffff:10.0.0.1]:5",
    ];
    for addr in wrong {
        let addr: SocketAddr = addr.parse().unwrap();
        let mut body = id(3).as_bytes().to_vec();
        body.push(1);
        match addr.ip() {
            IpAddr::V4(ip) => {
                body.push(4);
                body.extend(ip.octets());
            }
            IpAddr::V6(ip) => {
                body.push(6);
                body.extend(ip.octets());
            }
        }
        body.extend(addr.port().to_be_bytes());
        let parsed = spell(&body).parse::<Ticket>();
        assert!(matches!(parsed, Err(TicketError::Address(_))), "{addr}: {parsed:?}");
    }
    let mapped = Ticket::new(id(3), &["[::ffff:10.0.0.1]:5".parse().unwrap()]);
    assert_eq!(mapped.addrs(), &["10.0.0.1:5".parse().unwrap()]);
    let mut body = id(3).as_bytes().to_vec();
    body.extend([2, 4, 10, 0, 0, 1, 0, 5, 4, 10, 0, 0, 1, 0, 5]);
    assert_eq!(spell(&body).parse::<Ticket>(), Err(TicketError::Address("an address twice")));
    body = id(3).as_bytes().to_vec();
    body.extend([1, 5, 10, 0, 0, 1, 0, 5]);
    assert!(matches!(spell(&body).parse::<Ticket>(), Err(TicketError::Address(_))));
}

/// spec: R-TKT-1
#[test]
fn an_id_that_is_no_key_is_refused() {
    let mut body = vec![0; 33];
    body[0] = 1;
    assert_eq!(spell(&body).parse::<Ticket>(), Err(TicketError::Id));
}

fn any_addr() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), 1u16..).prop_map(|(ip, port)| (Ipv4Addr::from(ip), port).into()),
        (any::<[u8; 16]>(), 1u16..).prop_map(|(ip, port)| (Ipv6Addr::from(ip), port).into()),
    ]
}

proptest! {
    /// spec: R-TKT-1, R-TKT-2
    #[test]
    fn what_is_written_is_read(seed: u8, addrs in prop::collection::vec(any_addr(), 0..20)) {
        let ticket = Ticket::new(id(seed), &addrs);
        prop_assert_eq!(ticket.to_string().parse::<Ticket>(), Ok(ticket));
    }

    /// spec: R-TKT-2, R-LIM-4
    #[test]
    fn what_is_read_is_written_the_same(text in "(aq1)?[a-z2-7]{0,120}") {
        if let Ok(ticket) = text.parse::<Ticket>() {
            prop_assert_eq!(ticket.to_string(), text);
        }
    }

    /// spec: R-TKT-2, R-LIM-4
    #[test]
    fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..120), seed: u8) {
        let mut with_id = id(seed).as_bytes().to_vec();
        with_id.extend(&body);
        for body in [body, with_id] {
            let text = spell(&body);
            if let Ok(ticket) = text.parse::<Ticket>() {
                prop_assert_eq!(ticket.to_string(), text);
            }
        }
    }
}
