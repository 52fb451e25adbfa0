//! The ways of streams through the nodes of a page: where each was sent, came, and went on.
//!
//! ```text
//!   A sends ──► R receives ─┬─► R sends on a leg ──► B receives
//!                           └─► R sends on another ──► C receives
//! ```

use std::collections::HashSet;

use aqueduct_core::tape::Slot;
use aqueduct_core::trace::Way;
use aqueduct_core::wire::id::StreamId;

use super::Node;
use super::join::Joined;
use crate::gather::Stream;

/// Points of all ways of a page, at most.
pub(super) const MOST_POINTS: usize = 64;

/// A place that a stream's bytes pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Point {
    pub(super) node: usize,
    pub(super) slot: Slot,
    pub(super) stream: StreamId,
    pub(super) way: Way,
}

/// A way: its points, each with the number of the one before it.
pub(super) type Path = Vec<(Point, Option<usize>)>;

impl Point {
    pub(super) fn of<'a>(&self, nodes: &'a [Node<'_>]) -> Option<&'a Stream> {
        let connection = nodes.get(self.node)?.run.connections.get(&self.slot)?;
        connection.streams.get(&self.stream.0)
    }

    pub(super) const fn side(&self) -> usize {
        match self.way {
            Way::Sent => 0,
            Way::Received => 1,
        }
    }

    fn bytes(&self, nodes: &[Node<'_>]) -> u64 {
        let moved = self.of(nodes).and_then(|stream| stream.moved.get(self.side()));
        moved.copied().unwrap_or(0)
    }
}

/// The ways on which most went, and how many there are in all.
pub(super) fn of(nodes: &[Node<'_>], joined: &Joined) -> (Vec<Path>, usize) {
    let mut ways: Vec<Path> = begins(nodes, joined)
        .into_iter()
        .map(|begin| follow(begin, nodes, joined))
        .filter(|way| way.len() > 1)
        .collect();
    let all = ways.len();
    ways.sort_by_key(|way| {
        std::cmp::Reverse(way.first().map_or(0, |(point, _)| point.bytes(nodes)))
    });
    let mut room = MOST_POINTS;
    ways.retain(|way| {
        let fits = way.len() <= room;
        room -= if fits { way.len() } else { 0 };
        fits
    });
    (ways, all)
}

/// Where bytes come from that came from no other point of the page.
fn begins(nodes: &[Node<'_>], joined: &Joined) -> Vec<Point> {
    let mut begins = Vec::new();
    for (node, of) in nodes.iter().enumerate() {
        let legs: HashSet<_> = of.run.pipes.iter().map(|(_, to)| *to).collect();
        for connection in of.run.connections.values() {
            let slot = connection.slot;
            let is_joined = joined.other.contains_key(&(node, slot));
            for stream in connection.streams.values().map(|stream| stream.id) {
                let point = |way| Point { node, slot, stream, way };
                let out = point(Way::Sent);
                if out.bytes(nodes) > 0 && !legs.contains(&(slot, stream)) {
                    begins.push(out);
                }
                let inn = point(Way::Received);
                if inn.bytes(nodes) > 0 && !is_joined {
                    begins.push(inn);
                }
            }
        }
    }
    begins
}

/// From here on, as far as the page knows: each leg to its end, then the next.
fn follow(begin: Point, nodes: &[Node<'_>], joined: &Joined) -> Path {
    let (mut path, mut seen) = (Path::new(), HashSet::new());
    let mut ahead = vec![(begin, None)];
    while let Some((point, before)) = ahead.pop() {
        if seen.insert(point) {
            let at = path.len();
            path.push((point, before));
            let next = next(point, nodes, joined).into_iter().rev();
            ahead.extend(next.map(|next| (next, Some(at))));
        }
    }
    path
}

fn next(point: Point, nodes: &[Node<'_>], joined: &Joined) -> Vec<Point> {
    let there = |next: &Point| next.bytes(nodes) > 0;
    if point.way == Way::Sent {
        let other = joined.other.get(&(point.node, point.slot));
        let came = other.map(|(node, slot)| Point {
            node: *node,
            slot: *slot,
            way: Way::Received,
            ..point
        });
        return came.into_iter().filter(there).collect();
    }
    let Some(node) = nodes.get(point.node) else { return Vec::new() };
    let legs = node.run.pipes.iter().filter(|(from, _)| *from == (point.slot, point.stream));
    legs.map(|(_, (slot, stream))| Point { slot: *slot, stream: *stream, way: Way::Sent, ..point })
        .filter(there)
        .collect()
}
