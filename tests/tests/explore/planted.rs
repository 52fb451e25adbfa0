//! Bugs that are planted must be found, and can be in no release.

use aqueduct_core::config::{RetryPolicy, TransportConfig};
use aqueduct_core::planted::Fault;

use crate::rules::Rule;
use crate::search::{Scenario, tell};
use crate::{close, credit, handshake, keys, moves, nodes, pipes, streams};

fn faulty(fault: Fault) -> TransportConfig {
    nodes::transport().with_fault(fault)
}

/// The search finds something, by one of these rules.
fn finds(fault: Fault, scenario: &Scenario, moves: u8, rules: &[Rule]) {
    let found = scenario.find(moves).unwrap_or_else(|| panic!("{fault:?} is not found"));
    let story = found.story(scenario.name);
    tell(&format!("{fault:?} found: {}", story.lines().next().unwrap_or_default()));
    assert!(rules.contains(&found.broken.rule), "{fault:?}: {story}");
}

#[test]
fn a_responder_that_does_not_wait_for_proof() {
    let fault = Fault::HastyConfirmation;
    let name = "planted, handshake";
    let scenario = handshake::dial(name, &faulty(fault), true, RetryPolicy::Auto);
    finds(fault, &scenario, 1, &[Rule::Agree]);
}

#[test]
fn a_polite_close_that_does_not_wait() {
    finds(Fault::HastyClose, &close::polite(&faulty(Fault::HastyClose)), 2, &[Rule::Agree]);
}

#[test]
fn a_close_that_is_said_once() {
    finds(Fault::SingleClose, &close::polite(&faulty(Fault::SingleClose)), 2, &[Rule::Agree]);
}

#[test]
fn a_close_that_never_ends() {
    let fault = Fault::EndlessClose;
    finds(fault, &close::polite(&faulty(fault)), 0, &[Rule::Ends]);
}

#[test]
fn memory_that_is_not_given_back() {
    let fault = Fault::KeptShare;
    finds(fault, &close::polite(&faulty(fault)), 0, &[Rule::Traces]);
}

#[test]
fn an_end_that_is_not_sent_again() {
    finds(
        Fault::ForgottenEnd,
        &streams::finished(&faulty(Fault::ForgottenEnd)),
        2,
        &[Rule::Agree, Rule::Ends],
    );
}

#[test]
fn a_reset_that_is_not_sent_again() {
    let fault = Fault::ForgottenReset;
    let scenario = streams::reset("planted, RESET", &faulty(fault), 1_500);
    finds(fault, &scenario, 2, &[Rule::Agree, Rule::Ends]);
}

#[test]
fn credit_that_was_not_granted() {
    finds(
        Fault::GenerousCredit,
        &credit::tight(&faulty(Fault::GenerousCredit)),
        1,
        &[Rule::Credit],
    );
}

#[test]
fn credit_that_is_not_granted_again() {
    finds(
        Fault::ForgottenCredit,
        &credit::tight(&faulty(Fault::ForgottenCredit)),
        2,
        &[Rule::Agree, Rule::Ends],
    );
}

#[test]
fn a_number_that_is_used_twice() {
    let fault = Fault::RepeatedNumber;
    let scenario = keys::talk("planted, keys", faulty(fault), 3);
    finds(fault, &scenario, 1, &[Rule::Nonce]);
}

#[test]
fn a_pipe_that_is_not_told() {
    finds(
        Fault::DeafPipe,
        &pipes::source_lost(&faulty(Fault::DeafPipe)),
        1,
        &[Rule::Agree, Rule::Ends],
    );
}

#[test]
fn a_peer_that_moved_and_is_not_followed() {
    let fault = Fault::RootedPath;
    let scenario = moves::moved("planted, moves", &faulty(fault));
    finds(fault, &scenario, 1, &[Rule::Agree, Rule::Ends]);
}

#[test]
fn a_stray_that_gets_no_answer() {
    let fault = Fault::MuteStray;
    let scenario = moves::forgotten("planted, reset", &faulty(fault));
    finds(fault, &scenario, 1, &[Rule::Agree, Rule::Ends]);
}

#[test]
fn an_end_before_what_is_missing() {
    let fault = Fault::HastyEnd;
    finds(fault, &streams::finished(&faulty(fault)), 1, &[Rule::Texts]);
}

#[test]
fn keys_that_run_ahead() {
    // One loss: else an ACK of each packet comes before the next.
    let fault = Fault::HastyKeys;
    let scenario = keys::talk("planted, phases", faulty(fault), 12);
    finds(fault, &scenario, 1, &[Rule::Phases]);
}

#[test]
fn a_deadline_that_has_passed() {
    let fault = Fault::StaleDeadline;
    finds(fault, &streams::finished(&faulty(fault)), 0, &[Rule::Clock]);
}

#[test]
fn a_panic() {
    let fault = Fault::BrittleOrder;
    finds(fault, &streams::finished(&faulty(fault)), 1, &[Rule::Sound]);
}

/// Only tests can name a fault: no manifest of the workspace asks for the feature but to hand it on
/// and, for tests alone, this crate's and that of the adapters' suite; it is nobody's default.
#[test]
fn no_release_can_have_one() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |path: &str| {
        let text = std::fs::read_to_string(format!("{root}/{path}Cargo.toml"));
        text.unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let workspace = read("");
    let (_, members) = workspace.split_once("\nmembers = [").expect("members");
    let (members, _) = members.split_once(']').expect("their end");
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.contains(&"core") && members.contains(&"adapters/cli"), "{members:?}");
    assert!(!workspace.contains("planted"), "a dependency of all");
    for member in members {
        let text = read(&format!("{member}/"));
        let asks: Vec<_> = text.lines().filter(|line| line.contains("planted")).collect();
        match member {
            "core" => assert_eq!(asks, ["planted = []"]),
            "adapters/driver" => assert_eq!(asks, ["planted = [\"aqueduct-core/planted\"]"]),
            "tests" | "tests/adapters" => {
                let (shipped, _) = text.split_once("[dev-dependencies]").expect("some");
                assert!(!shipped.contains("planted"), "the library asks for it");
            }
            _ => assert!(asks.is_empty(), "{member}: {asks:?}"),
        }
    }
}
