//! What must be true of a world in the end.

use std::collections::BTreeMap;

use aqueduct_core::error::{CloseReason, Refusal};

use super::texts::Text;
use super::world::World;
use crate::app::App;

/// Between honest peers a connection ends because somebody wants it, or by silence. A `crowded`
/// node, at which rogues come and go or whose places are taken, may have no room for another.
///
/// # Panics
/// If it was for anything else.
pub(super) fn explain(reason: &CloseReason, crowded: bool) {
    let busy = crowded && *reason == CloseReason::Refused(Refusal::Busy);
    let known = busy
        || matches!(
            reason,
            CloseReason::Local(_)
                | CloseReason::Peer { .. }
                | CloseReason::PeerLost { .. }
                | CloseReason::IdleTimeout(_)
                | CloseReason::HandshakeTimeout(_)
                | CloseReason::Reset
                | CloseReason::CarrierLost
        );
    assert!(known, "an end that nobody is the cause of: {reason}");
}

/// What is not done although nothing stands in its way.
pub(super) fn undone(world: &World) -> Vec<String> {
    let mut left = Vec::new();
    for node in &world.nodes {
        let (app, host) = (&node.app, node.app.host.0);
        let alive = |connection| app.closed(connection).is_none();
        for flow in &app.out {
            if !flow.delivered && !flow.stopped && alive(flow.connection) {
                left.push(format!("host {host} writes {:?} {:?}", flow.connection, flow.stream));
            }
        }
        for flow in &app.inn {
            let ended = flow.finished || flow.reset.is_some() || flow.ignored;
            if !ended && alive(flow.connection) {
                left.push(format!("host {host} reads {flow:?}"));
            }
        }
        let pipes = world.net.hosts[host].endpoint.stats().pipes as usize;
        let pipes = pipes.saturating_sub(node.smuggles.len());
        if pipes > 0 {
            left.push(format!("host {host} has {pipes} pipes"));
        }
    }
    // Whose connection has ended at the other end alone hears of that in the quiet.
    for note in world.notes.values() {
        let ended = world.nodes[note.from.0].app.closed(note.connection).is_some();
        if note.is_owed(ended) {
            left.push(format!("a message did not come: {note:?}"));
        }
    }
    left
}

/// How every connection stands.
fn standing(world: &World) -> Vec<String> {
    let mut text = Vec::new();
    for (number, host) in world.net.hosts.iter().enumerate() {
        for (handle, connection) in host.endpoint.connections() {
            let remote = connection.remote();
            let stats = connection.stats();
            text.push(format!("host {number} {handle:?} to {remote}: {stats:?}"));
        }
    }
    text
}

/// The quiet is over.
///
/// # Panics
/// If something did not come to its end, or came to another than it should.
pub(super) fn judge(world: &World) {
    let left = undone(world);
    if !left.is_empty() {
        panic!("left undone:\n{}\n{}", left.join("\n"), standing(world).join("\n"));
    }
    let astray = world.astray();
    assert!(astray.is_empty(), "ended for nothing:\n{}", astray.join("\n"));
    for node in &world.nodes {
        judge_ends(&node.app, &world.texts);
        assert_eq!(node.ended, node.pipes.len(), "a pipe ended without a word, or twice");
    }
}

/// What an application read to its end ended where it was to. Of a text that was given up, an end
/// may come, but not an early one.
///
/// # Panics
/// If not.
pub(super) fn judge_ends(app: &App, texts: &BTreeMap<u64, Text>) {
    for flow in app.inn.iter().filter(|flow| flow.finished) {
        let salt = flow.salt().expect("a text that was read");
        let len = texts.get(&salt).map(|text| text.len);
        assert_eq!(len, Some(flow.read), "a text ended elsewhere: {flow:?}");
    }
}
