use aqueduct_tokio::NodeKey;

use super::*;

fn ticket(seed: u8) -> Ticket {
    Ticket::new(NodeKey::from_seed(&[seed; 32]).id(), &[])
}

fn short(seed: u8) -> String {
    ticket(seed).id().to_string()[..8].to_owned()
}

/// What, through whom, to whom; nothing of it can move a cursor.
#[test]
fn the_bar_says_which_way_what_goes() {
    let (one, two) = (ticket(1), ticket(2));
    let way = way_in_words(&[one, two], &[ticket(3), ticket(4)]);
    assert_eq!(way, format!("{} > {} > {} + {}", short(1), short(2), short(3), short(4)));
    assert_eq!(label("film", &way), format!("sending film > {way}"));
    let straight = way_in_words(&[], &[ticket(3)]);
    assert_eq!(label("film", &straight), format!("sending film > {}", short(3)));
    assert!(!label("a\u{1b}[2Jb", &straight).contains('\u{1b}'));
}
