//! What every adapter must do, once for each pair of them: a client of one kind and a server of one
//! kind, over real sockets.

mod ends;
mod latency;
mod lines;
mod node;
mod shadow;
mod streams;
mod stuck;
#[cfg(target_os = "linux")]
mod tapes;
mod tcp;
mod units;
mod way;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use node::{Std, Tokio};

/// No test waits longer than this, whatever hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `test` on a thread of its own, and fails if it hangs.
fn watched(test: impl FnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel();
    let running = thread::spawn(move || {
        test();
        let _gone = tell.send(());
    });
    match told.recv_timeout(LIMIT) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("not done after {LIMIT:?}"),
        _done => running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

/// Each test for each pairing of client and server.
macro_rules! pairings {
    ($($room:ident: $($test:ident),+;)+) => {
        pairings!(@ both_std, Std, Std, $($room: $($test),+;)+);
        pairings!(@ std_to_tokio, Std, Tokio, $($room: $($test),+;)+);
        pairings!(@ tokio_to_std, Tokio, Std, $($room: $($test),+;)+);
        pairings!(@ both_tokio, Tokio, Tokio, $($room: $($test),+;)+);
    };
    (@ $pairing:ident, $client:ty, $server:ty, $($room:ident: $($test:ident),+;)+) => {
        mod $pairing {
            use super::*;

            $($(
                #[test]
                fn $test() {
                    watched($room::$test::<$client, $server>);
                }
            )+)+
        }
    };
}

pairings! {
    streams:
        a_body_comes_back,
        large_bodies_cross_both_ways_at_once,
        a_body_may_be_written_from_behind,
        what_is_skipped_is_an_error_that_names_it,
        a_body_whose_tail_is_skipped_has_no_end,
        who_leaves_a_gap_has_given_the_stream_up,
        many_streams_at_once,
        a_stream_of_one_direction_has_an_end,
        what_is_peeked_is_still_there,
        forks_read_each_by_itself,
        a_stream_flows_through_a_node_in_between;
    units:
        datagrams_arrive,
        messages_arrive_whole_and_once,
        a_large_message_is_streamed,
        both_ends_derive_the_same_key;
    shadow:
        what_differs_is_told_and_what_came_is_given,
        what_has_no_whole_is_not_compared,
        without_a_shadow_the_bug_is_there;
    ends:
        a_reset_has_its_code,
        a_stop_has_its_code,
        a_stop_says_how_far_away_it_was,
        half_a_body_is_no_body,
        a_close_has_its_code_and_loses_nothing,
        an_abort_ends_what_waits,
        the_last_handle_closes,
        a_refused_client_is_told,
        nobody_there_is_an_error,
        a_closed_endpoint_becomes_idle;
    tcp:
        streams_go_on_by_tcp_and_come_back,
        tcp_alone_connects,
        each_kind_of_carrier_may_be_left_out,
        a_refusal_holds_for_both,
        who_does_not_read_holds_up_nobody,
        strangers_that_misbehave_lose_their_socket;
    lines:
        a_silent_tcp_connection_is_not_waited_for,
        tcp_is_found_at_another_address,
        tcp_alone_connects_in_time,
        ipv6_is_as_good,
        a_dial_that_nobody_answers_has_an_end,
        a_closed_endpoint_dials_no_more,
        nothing_is_lost_by_who_does_not_read;
}

#[test]
fn a_stuck_stream_is_an_error_to_threads() {
    watched(stuck::too_much_behind_a_gap::<Std>);
}

#[test]
fn a_stuck_stream_is_an_error_to_tasks() {
    watched(stuck::too_much_behind_a_gap::<Tokio>);
}

/// A peer that reads nothing for 30 s, for each adapter; the suite has it for 3 s:
/// `cargo test --release -p aqueduct-tests --test adapters -- --ignored --nocapture thirty`
#[test]
#[ignore = "takes more than a minute"]
fn who_does_not_read_for_thirty_seconds_loses_nothing() {
    lines::who_does_not_read::<Tokio, Tokio>(Duration::from_secs(30));
    lines::who_does_not_read::<Std, Std>(Duration::from_secs(30));
}

/// And what others have meanwhile; to be run alone:
/// `cargo test --release -p aqueduct-tests --test adapters -- --ignored --nocapture rate`
#[test]
#[ignore = "takes more than a minute, and the machine for itself"]
fn others_keep_their_rate_beside_who_does_not_read() {
    lines::others_keep_their_rate::<Tokio, Tokio>(Duration::from_secs(30));
    lines::others_keep_their_rate::<Std, Std>(Duration::from_secs(30));
}

/// Figures of the move from UDP to TCP and back, for each adapter; to be run alone:
/// `cargo test --release -p aqueduct-tests --test adapters -- --ignored --nocapture figures`
#[test]
#[ignore = "takes the machine for itself"]
fn figures_of_a_cut_in_the_middle() {
    tcp::a_cut_in_the_middle::<Tokio, Tokio>(256 << 20);
    tcp::a_cut_in_the_middle::<Std, Std>(256 << 20);
}

/// Question and answer, and a body, by threads, on tokio and by plain TCP; to be run alone:
/// `cargo test --release -p aqueduct-tests --test adapters -- --ignored --nocapture latency`
#[test]
#[ignore = "takes the machine for itself"]
fn figures_of_latency() {
    latency::figures();
}
