//! What is said about what a page does not show.

use aqueduct_core::tape::{Ending, Payload};
use aqueduct_core::trace::{Depth, Tail, Trace};

use super::Node;
use super::data::{MOST_CONNECTIONS, MOST_LANES};
use super::join::Joined;
use super::ways::Path;
use crate::gather::Run;

/// In the order of their weight; of several nodes, whose it is stands before it.
pub(super) fn of(
    nodes: &mut [Node<'_>],
    joined: &Joined,
    (ways, all): &(Vec<Path>, usize),
) -> Vec<String> {
    let mut notes = Vec::new();
    let several = nodes.len() > 1;
    for (node, within) in nodes.iter_mut().zip(&joined.within) {
        let of_node = of_node(&mut node.run, &node.head);
        let own = (several && within.is_none()).then(|| {
            "No packet of this node is on another tape of the page that can be opened: its clock \
             is not known, and its times are drawn as if it had begun with the page."
                .to_owned()
        });
        let named = |note| if several { format!("{}: {note}", node.name) } else { note };
        notes.extend(of_node.into_iter().chain(own).map(named));
    }
    if ways.len() < *all {
        notes.push(format!(
            "{} of {all} streams are followed from point to point: those that moved most.",
            ways.len()
        ));
    }
    let connections: usize = nodes.iter().map(|node| node.run.connections.len()).sum();
    if connections > MOST_CONNECTIONS {
        notes.push(format!(
            "{MOST_CONNECTIONS} of {connections} connections are shown: those that moved most."
        ));
    }
    let streams = nodes.iter().flat_map(|node| node.run.connections.values());
    let streams: usize = streams.map(|one| one.streams.len()).sum();
    if streams > MOST_LANES {
        notes
            .push(format!("{MOST_LANES} of {streams} streams have a lane: those that moved most."));
    }
    notes
}

fn of_node(run: &mut Run, head: &Trace<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(why) = &run.diverged {
        let why = why.replace('\n', " ");
        notes.push(format!(
            "This build of the core does something else than the one that was recorded. From \
             there on only what stands on the tape is shown: no packet is opened, and losses, \
             windows and round trips are not known. {why}"
        ));
    }
    match (run.depth, head.payload()) {
        (Depth::Replayed, _) => {}
        (Depth::Blank, _) => notes.push(
            "The tape is by reference: it has no byte of what this node sent. It was run again \
             with zeros in their place. All that is shown is as it was; only ciphertexts would \
             differ."
                .to_owned(),
        ),
        (Depth::Records, Payload::Elided) => notes.push(
            "The tape has no payload and no keys (elided or redacted), so it cannot run again. \
             Shown are datagrams by size and address, calls and events. Not known are packet \
             numbers and frames, losses, windows, pacing and round trips; lanes of streams show \
             what the application gave and took."
                .to_owned(),
        ),
        (Depth::Records, _) => notes.push(
            "The tape's settings are not ones that this build can run: only what stands on the \
             tape is shown."
                .to_owned(),
        ),
    }
    match run.tail {
        Tail::Ended(Ending::Finished) => {}
        Tail::Ended(Ending::Overrun) => notes.push(
            "The recording ended before the node did: the disk did not follow. There is no hole \
             before its end."
                .to_owned(),
        ),
        Tail::Torn { at } => notes.push(format!(
            "The file is torn or damaged from byte {at} on. What stands before is whole and shown."
        )),
        _ => notes.push("The recording was cut off: the node was stopped before it ended.".into()),
    }
    left_out(run, &mut notes);
    notes
}

fn left_out(run: &mut Run, notes: &mut Vec<String>) {
    let (shown, all) = (run.packets.finish().len() as u64, run.packets.seen());
    if shown < all {
        notes.push(format!(
            "{shown} of {all} packets are drawn and listed: those lost, sent again, or of the \
             handshake before others, and of the others each n-th. Sums are of all."
        ));
    }
    let (shown, all) = (run.lines.finish().len() as u64, run.lines.seen());
    if shown < all {
        notes.push(format!(
            "{shown} of {all} records are listed: what happens once before what happens with each \
             piece of a stream. `aqueduct trace show` lists all."
        ));
    }
}
