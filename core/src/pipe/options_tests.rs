use super::*;

#[test]
fn ends_of_legs_are_sentences() {
    let refused = StreamCode::Refused.app();
    for (end, words) in [
        (LegEnd::Delivered, "everything was delivered"),
        (LegEnd::Stopped { code: refused, hop: 0 }, "stopped: it was refused"),
        (LegEnd::Stopped { code: AppCode(7), hop: 2 }, "stopped from 2 relays away: code 7"),
        (LegEnd::Reset { code: refused, hop: 1 }, "reset from one relay away: it was refused"),
    ] {
        assert_eq!(std::format!("{end}"), words);
    }
    for code in StreamCode::ALL {
        let said = std::format!("{}", StreamCode::words(code.app()));
        assert!(!said.contains(char::is_numeric), "{said}");
    }
}
