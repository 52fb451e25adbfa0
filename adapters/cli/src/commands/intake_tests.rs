use aqueduct_tokio::NodeKey;

use super::*;

/// What, and from whom; nothing of it can move a cursor.
#[test]
fn the_bar_says_which_way_what_comes() {
    let peer = NodeKey::from_seed(&[1; 32]).id();
    let id = peer.to_string()[..8].to_owned();
    for (left, way) in [
        (None, id.clone()),
        (Some(16), id.clone()),
        (Some(15), format!("{id} (a relay)")),
        (Some(14), format!("{id} (the last of 2 relays)")),
        (Some(0), format!("{id} (the last of 16 relays)")),
        (Some(99), id.clone()),
    ] {
        assert_eq!(way_in_words(&peer, left), way, "{left:?}");
    }
    assert_eq!(label("film", &id), format!("receiving film < {id}"));
    assert!(!label("a\u{1b}[2Jb", &id).contains('\u{1b}'));
}
