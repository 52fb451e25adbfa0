use super::*;
use std::format;
use std::string::String;

/// spec: R-STR-10
#[test]
fn the_sending_table() {
    use SendEvent as E;
    let events = [E::DataSent, E::EndSent, E::AllAcked, E::Reset, E::ResetAcked];
    let mut table = String::new();
    for state in SendState::ALL {
        let row = events.map(|event| format!("{:?}", state.after(event)));
        table += &format!("{state:?}: {}\n", row.join(" "));
    }
    assert_eq!(
        table,
        "Ready: Send DataSent Ready ResetSent Ready\n\
         Send: Send DataSent Send ResetSent Send\n\
         DataSent: DataSent DataSent DataRecvd ResetSent DataSent\n\
         ResetSent: ResetSent ResetSent ResetSent ResetSent ResetRecvd\n\
         DataRecvd: DataRecvd DataRecvd DataRecvd DataRecvd DataRecvd\n\
         ResetRecvd: ResetRecvd ResetRecvd ResetRecvd ResetRecvd ResetRecvd\n"
    );
}

/// spec: R-STR-11
#[test]
fn the_receiving_table() {
    use RecvEvent as E;
    let events = [E::Open, E::FinalSize, E::AllReceived, E::AllRead, E::Reset, E::ResetRead];
    let mut table = String::new();
    for state in RecvState::ALL {
        let row = events.map(|event| format!("{:?}", state.after(event)));
        table += &format!("{state:?}: {}\n", row.join(" "));
    }
    assert_eq!(
        table,
        "Unannounced: Recv Unannounced Unannounced Unannounced ResetRead Unannounced\n\
         Recv: Recv SizeKnown Recv Recv ResetRecvd Recv\n\
         SizeKnown: SizeKnown SizeKnown DataRecvd SizeKnown ResetRecvd SizeKnown\n\
         DataRecvd: DataRecvd DataRecvd DataRecvd DataRead DataRecvd DataRecvd\n\
         DataRead: DataRead DataRead DataRead DataRead DataRead DataRead\n\
         ResetRecvd: ResetRecvd ResetRecvd ResetRecvd ResetRecvd ResetRecvd ResetRead\n\
         ResetRead: ResetRead ResetRead ResetRead ResetRead ResetRead ResetRead\n"
    );
}

#[test]
fn ends_are_ends() {
    for state in SendState::ALL.into_iter().filter(|s| s.is_end()) {
        assert!(!state.is_open());
        assert_eq!(state.after(SendEvent::Reset), state);
    }
    for state in RecvState::ALL.into_iter().filter(|s| s.is_end()) {
        assert!(!state.is_receiving());
        assert_eq!(state.after(RecvEvent::Reset), state);
    }
}
