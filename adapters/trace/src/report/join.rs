//! Several nodes on one page: which connections are two ends of one, and how their clocks differ.

use std::collections::HashMap;

use aqueduct_core::tape::Slot;

use super::Node;
use crate::gather::Connection;

/// A connection of a node.
pub(super) type Place = (usize, Slot);

/// What the nodes know of each other.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// The other end of a connection, where both are on the page.
    pub(super) other: HashMap<Place, Place>,
    /// Of each node: microseconds from the page's beginning to its own, as well as is known.
    pub(super) shifts: Vec<u64>,
    /// Of each node: whether that was found out, and how well, in microseconds.
    pub(super) within: Vec<Option<u64>>,
}

impl Joined {
    pub(super) fn of(nodes: &[Node<'_>]) -> Self {
        let other = pairs(nodes);
        let (offsets, within) = clocks(nodes, &other);
        // What began first begins the page.
        let first = offsets.iter().copied().min().unwrap_or(0);
        let shifts = offsets.iter().map(|at| at.saturating_sub(first).unsigned_abs()).collect();
        Self { other, shifts, within }
    }

    /// Microseconds of the page.
    pub(super) fn length(&self, nodes: &[Node<'_>]) -> u64 {
        let ends = nodes.iter().zip(&self.shifts);
        ends.map(|(node, shift)| node.run.span.length().saturating_add(*shift)).max().unwrap_or(1)
    }
}

/// Ends with the same hash of a handshake.
fn pairs(nodes: &[Node<'_>]) -> HashMap<Place, Place> {
    let (mut first, mut other) = (HashMap::new(), HashMap::new());
    for (at, node) in nodes.iter().enumerate() {
        for connection in node.run.connections.values() {
            let here = (at, connection.slot);
            let Some(hash) = connection.hash else { continue };
            match first.get(&hash) {
                Some(there) if !other.contains_key(there) => {
                    other.insert(here, *there);
                    other.insert(*there, here);
                }
                _ => _ = first.insert(hash, here),
            }
        }
    }
    other
}

/// Where each node's beginning lies in microseconds of the first one's clock, and within which
/// time that is sure: from node to node, by those connections whose packets were quickest.
fn clocks(nodes: &[Node<'_>], other: &HashMap<Place, Place>) -> (Vec<i64>, Vec<Option<u64>>) {
    let mut known: Vec<Option<(i64, u64)>> = vec![None; nodes.len()];
    if let Some(first) = known.first_mut() {
        *first = Some((0, 0));
    }
    loop {
        let steps = other.iter().filter_map(|(from, to)| {
            let (at, sure) = (*known.get(from.0)?)?;
            if known.get(to.0)?.is_some() {
                return None;
            }
            let (ahead, took) =
                connection(nodes, *from)?.moments.ahead(&connection(nodes, *to)?.moments)?;
            Some((took.unsigned_abs() / 2 + sure, to.0, at.saturating_sub(ahead)))
        });
        let Some((sure, node, at)) = steps.min() else { break };
        if let Some(place) = known.get_mut(node) {
            *place = Some((at, sure));
        }
    }
    let at = known.iter().map(|known| known.map_or(0, |(at, _)| at)).collect();
    (at, known.into_iter().map(|known| known.map(|(_, sure)| sure)).collect())
}

fn connection<'a>(nodes: &'a [Node<'_>], (node, slot): Place) -> Option<&'a Connection> {
    nodes.get(node)?.run.connections.get(&slot)
}
