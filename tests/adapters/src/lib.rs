//! What every adapter must do, once for each pair of them: a client of one kind and a server of one
//! kind, over real sockets. There is nothing here but tests.

#![cfg(test)]

mod ends;
mod face;
mod forks;
mod latency;
mod letters;
mod limits;
mod lines;
mod node;
mod pipes;
mod ranges;
mod relays;
mod says;
mod shadow;
mod streams;
mod stuck;
#[cfg(target_os = "linux")]
mod tapes;
mod tcp;
mod units;
mod verified;
mod waits;
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
        what_is_given_after_a_silence_is_not_old,
        a_large_message_is_streamed,
        both_ends_derive_the_same_key,
        a_key_that_cannot_be_derived_is_an_error_that_names_the_limit;
    forks:
        a_fork_that_does_not_read_holds_the_sender_until_it_is_dropped,
        the_last_handle_stops_the_peer_and_a_fork_does_not,
        errors_come_behind_the_bytes_to_every_handle,
        what_is_too_long_to_be_collected_is_still_there,
        a_long_head_gets_the_credit_that_it_needs,
        the_traits_of_its_world_hold_for_a_stream;
    letters:
        the_size_chooses_the_way_and_one_call_receives_both,
        a_peer_without_streaming_gets_all_of_it_whole,
        a_message_is_readable_before_it_is_all_made,
        who_does_not_want_a_message_says_so,
        what_is_not_what_was_announced_is_an_error_at_both_ends,
        what_is_too_large_to_be_put_together_is_refused,
        a_message_goes_through_a_node_while_it_comes;
    limits:
        a_limit_holds_what_is_sent_and_is_named,
        a_receiver_that_does_not_read_is_what_limits,
        who_goes_first_is_set_while_a_stream_is_open,
        a_connection_takes_another_controller;
    pipes:
        a_stream_goes_on_to_two_others_while_it_comes,
        a_pipe_that_is_cancelled_ends_both_ways,
        a_pipe_flows_on_without_its_handle,
        a_leg_that_was_refused_early_says_so,
        a_leg_that_joins_late_gets_what_is_kept,
        a_rate_holds_until_another_is_set,
        what_is_passed_on_can_be_read_along,
        nobody_waits_for_more_than_a_pipe_holds,
        a_leg_that_is_too_slow_is_detached_and_the_other_goes_on,
        what_cannot_be_piped_is_given_up;
    ranges:
        a_receiver_that_was_too_slow_finishes_by_range,
        a_part_is_what_was_asked_for_while_the_stream_flows,
        a_receiver_that_comes_back_asks_for_the_rest,
        what_is_not_held_or_not_the_askers_is_refused,
        who_does_not_relay_holds_nothing_and_takes_nothing_unasked;
    relays:
        a_stream_goes_to_its_end_and_its_answer_comes_back_on_it,
        several_ends_answer_each_by_itself_and_one_is_out_of_reach,
        a_relay_refuses_as_it_was_told_last,
        the_last_handle_ends_an_endpoint_that_relays;
    says:
        who_knocks_and_who_answers_are_named,
        where_a_node_can_be_dialled_is_true,
        streams_of_both_kinds_are_accepted_in_their_order,
        a_datagram_is_as_long_as_is_said,
        figures_are_those_of_what_was_done,
        a_recording_says_how_far_it_is;
    verified:
        the_end_of_a_body_is_given_if_its_digest_is_right,
        a_verified_body_that_is_given_up_has_no_end,
        a_body_that_cannot_be_verified_is_given_back;
    waits:
        whatever_waits_hears_that_its_own_end_is_aborted,
        whatever_waits_hears_that_the_other_end_is_aborted,
        whatever_waits_hears_that_the_other_node_is_closed,
        who_waits_for_a_stream_hears_that_the_other_half_is_dropped,
        who_waits_at_a_node_hears_that_it_is_closed;
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
        a_download_goes_on_by_tcp_and_comes_back,
        tcp_alone_connects,
        each_kind_of_carrier_may_be_left_out,
        a_refusal_holds_for_both,
        strangers_that_misbehave_lose_their_socket,
        a_crowd_behind_one_address_is_let_in;
    lines:
        a_silent_tcp_connection_is_not_waited_for,
        tcp_is_found_at_another_address,
        tcp_alone_connects_in_time,
        ipv6_is_as_good,
        a_dial_that_nobody_answers_has_an_end,
        a_closed_endpoint_dials_no_more,
        nothing_is_lost_by_who_does_not_read,
        who_does_not_read_holds_up_nobody,
        a_reset_of_the_only_way_ends_nothing,
        garbled_bytes_end_a_way_and_nothing_else;
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
/// `cargo test --release -p aqueduct-suite -- --ignored --nocapture thirty`
#[test]
#[ignore = "takes more than a minute"]
fn who_does_not_read_for_thirty_seconds_loses_nothing() {
    lines::who_does_not_read::<Tokio, Tokio>(Duration::from_secs(30));
    lines::who_does_not_read::<Std, Std>(Duration::from_secs(30));
}

/// And what others have meanwhile; to be run alone:
/// `cargo test --release -p aqueduct-suite -- --ignored --nocapture rate`
#[test]
#[ignore = "takes more than a minute, and the machine for itself"]
fn others_keep_their_rate_beside_who_does_not_read() {
    let (time, look) = (Duration::from_secs(30), Duration::from_secs(5));
    lines::others_keep_their_rate::<Tokio, Tokio>(time, look, None);
    lines::others_keep_their_rate::<Std, Std>(time, look, None);
}

/// Figures of the move from UDP to TCP and back, for each adapter; to be run alone:
/// `cargo test --release -p aqueduct-suite -- --ignored --nocapture figures`
#[test]
#[ignore = "takes the machine for itself"]
fn figures_of_a_cut_in_the_middle() {
    tcp::a_cut_in_the_middle::<Tokio, Tokio>(256 << 20);
    tcp::a_cut_in_the_middle::<Std, Std>(256 << 20);
}

/// Question and answer, and a body, by threads, on tokio and by plain TCP; to be run alone:
/// `cargo test --release -p aqueduct-suite -- --ignored --nocapture latency`
#[test]
#[ignore = "takes the machine for itself"]
fn figures_of_latency() {
    latency::figures();
}
