use std::collections::BTreeSet;

use super::*;

#[test]
fn each_limit_has_words_of_its_own() {
    let all: BTreeSet<_> = SendLimit::ALL.map(words).into();
    assert_eq!(all.len(), SendLimit::ALL.len());
    assert_eq!(words(SendLimit::Rate), "--limit");
}

#[test]
fn who_never_began_was_held_back_by_nothing() {
    assert_eq!(longest(&LimitTimes::default()), None);
    assert_eq!(in_millis(&LimitTimes::default()), serde_json::json!({}));
}
