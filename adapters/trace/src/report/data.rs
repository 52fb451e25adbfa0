//! What was seen, as the page's script wants it. Times are microseconds since the page begins.

use std::collections::{HashMap, HashSet};

use aqueduct_core::tape::{Payload, Slot};
use aqueduct_core::trace::{Depth, Way};
use serde_json::{Value, json};

use super::Node;
use super::join::{Joined, Place};
use super::ways::Path;
use crate::gather::{Connection, Curve, Fate, Line, Row, Run, Stream, Sums};

/// Connections on a page, at most.
pub(super) const MOST_CONNECTIONS: usize = 64;
/// Lanes of streams, at most.
pub(super) const MOST_LANES: usize = 400;

/// All of it.
pub(super) fn of(
    nodes: &mut [Node<'_>],
    joined: &Joined,
    ways: &[Path],
    notes: &[String],
) -> Value {
    let places = chosen(nodes);
    let lanes = lanes(nodes, &places);
    let mut shown: Vec<_> = places.iter().collect();
    shown.sort_unstable_by_key(|(_, place)| **place);
    let shown = shown.into_iter().filter_map(|(at, _)| {
        let (node, slot) = *at;
        let one = nodes.get(node)?.run.connections.get(&slot)?;
        let other = joined.other.get(at).and_then(|other| places.get(other));
        Some(connection(one, node, shift(joined, node), other.copied(), &lanes))
    });
    let connections: Vec<Value> = shown.collect();
    let ways: Vec<Value> = ways.iter().map(|path| way(path, nodes, joined, &places)).collect();
    let mut all = Sums::default();
    nodes.iter().for_each(|node| all.add(&node.run.sums()));
    json!({
        "length": joined.length(nodes),
        "nodes": nodes.iter().enumerate().map(|at| node(at, joined)).collect::<Vec<_>>(),
        "notes": notes,
        "sums": sums(&all, &mut nodes.iter().map(|node| &node.run)),
        "connections": connections,
        "ways": ways,
        "packets": packets(nodes, joined, &places),
        "lines": lines(nodes, joined, &places),
    })
}

fn shift(joined: &Joined, node: usize) -> u64 {
    joined.shifts.get(node).copied().unwrap_or(0)
}

/// A tape, and the node that it is of.
fn node((number, node): (usize, &Node<'_>), joined: &Joined) -> Value {
    let span = node.run.span;
    let payload = match node.head.payload() {
        Payload::Full => "full",
        Payload::Referenced => "by reference",
        Payload::Elided => "elided",
    };
    let depth = match node.run.depth {
        Depth::Replayed => "replayed",
        Depth::Blank => "blank",
        Depth::Records => "records",
    };
    let shift = shift(joined, number);
    json!({
        "name": node.name,
        "label": node.head.label(),
        "version": node.head.version(),
        "payload": payload,
        "depth": depth,
        "bytes": node.bytes,
        "records": span.records,
        "began": span.from.as_nanos() / 1_000,
        "length": span.length(),
        "shift": shift,
        "within": joined.within.get(number),
        "sums": sums(&node.run.sums(), &mut [&node.run].into_iter()),
        "piped": curve(&node.run.piped, shift),
    })
}

/// The connections that are shown, and where.
fn chosen(nodes: &[Node<'_>]) -> HashMap<Place, usize> {
    let of = |(at, node): (usize, &Node<'_>)| {
        let bytes = |one: &Connection| one.sums.bytes[0].saturating_add(one.sums.bytes[1]);
        let all = node.run.connections.values();
        all.map(|one| (bytes(one), one.from, (at, one.slot))).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = nodes.iter().enumerate().flat_map(of).collect();
    all.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
    all.truncate(MOST_CONNECTIONS);
    all.sort_by_key(|(_, from, (node, slot))| (*node, *from, *slot));
    all.iter().enumerate().map(|(place, (.., at))| (*at, place)).collect()
}

/// The streams that have a lane: those that moved most.
fn lanes(nodes: &[Node<'_>], places: &HashMap<Place, usize>) -> HashSet<(Place, u64)> {
    let mut all = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        for one in node.run.connections.values() {
            let place = (at, one.slot);
            let streams = one.streams.values().filter(|_| places.contains_key(&place));
            all.extend(streams.map(|stream| (stream.bytes(), place, stream.id.0)));
        }
    }
    all.sort_by_key(|(bytes, place, id)| (std::cmp::Reverse(*bytes), *place, *id));
    all.truncate(MOST_LANES);
    all.into_iter().map(|(_, place, id)| (place, id)).collect()
}

fn sums(sums: &Sums, runs: &mut dyn Iterator<Item = &Run>) -> Value {
    let (mut events, mut connections, mut strays) = (0, 0, 0);
    for run in runs {
        events += run.events;
        connections += run.connections.len();
        strays += run.strays.packets.iter().sum::<u64>();
    }
    json!({
        "packets": sums.packets,
        "bytes": sums.bytes,
        "acked": sums.acked,
        "lost": sums.lost,
        "late": sums.late,
        "again": sums.again,
        "moved": sums.moved,
        "repeated": sums.repeated,
        "timeouts": sums.timeouts,
        "events": events,
        "connections": connections,
        "strays": strays,
    })
}

/// The way of a stream: its points, each with what went by.
fn way(path: &Path, nodes: &[Node<'_>], joined: &Joined, places: &HashMap<Place, usize>) -> Value {
    let points = path.iter().filter_map(|(point, before)| {
        let (stream, shift) = (point.of(nodes)?, shift(joined, point.node));
        let side = point.side();
        let edges = stream.edges.get(side).copied().flatten();
        Some(json!({
            "node": point.node,
            "connection": places.get(&(point.node, point.slot)),
            "stream": stream.id.0,
            "name": format!("{:?}", stream.id),
            "protocol": stream.protocol,
            "sent": u8::from(point.way == Way::Sent),
            "before": before,
            "moved": stream.moved.get(side),
            "again": stream.again.get(side),
            "first": edges.map(|(first, _)| first.saturating_add(shift)),
            "last": edges.map(|(_, last)| last.saturating_add(shift)),
            "path": stream.paths.get(side).map(|path| curve(path, shift)),
        }))
    });
    points.collect()
}

fn connection(
    one: &Connection,
    node: usize,
    shift: u64,
    other: Option<usize>,
    lanes: &HashSet<(Place, u64)>,
) -> Value {
    let mut samples = one.samples.clone();
    samples.sort_unstable();
    let at = |percent: usize| samples.get(samples.len().saturating_sub(1) * percent / 100).copied();
    let shown = one.streams.values().filter(|s| lanes.contains(&((node, one.slot), s.id.0)));
    let (curves, drawn) = (&one.curves, |one: &Curve| curve(one, shift));
    let moved = |side: fn(&Stream) -> [u64; 2]| {
        one.streams
            .values()
            .map(side)
            .fold([0_u64; 2], |all, s| [all[0].saturating_add(s[0]), all[1].saturating_add(s[1])])
    };
    json!({
        "node": node,
        "other": other,
        "id": one.name(),
        "dialled": one.dialled,
        "peer": one.peer,
        "remote": one.remote.map(|remote| remote.to_string()),
        "from": one.from + shift,
        "until": one.until + shift,
        "connected": one.connected.map(|at| at + shift),
        "closed": one.closed,
        "packets": one.sums.packets,
        "bytes": one.sums.bytes,
        "acked": one.sums.acked,
        "lost": one.sums.lost,
        "late": one.sums.late,
        "again": one.sums.again,
        "timeouts": one.sums.timeouts,
        "moved": moved(|stream| stream.moved),
        "repeated": moved(|stream| stream.again),
        "rtt": {"least": at(0), "median": at(50), "p99": at(99), "samples": samples.len()},
        "limits": one.limits,
        "lane": lane(&one.lane),
        "rate": {"out": one.lane.bytes(Way::Sent), "in": one.lane.bytes(Way::Received)},
        "streams": shown.map(|one| stream(one, shift)).collect::<Vec<_>>(),
        "all_streams": one.streams.len(),
        "curves": {
            "window": drawn(&curves.window),
            "flight": drawn(&curves.flight),
            "threshold": drawn(&curves.threshold),
            "pacing": drawn(&curves.pacing),
            "held": drawn(&curves.held),
            "latest": drawn(&curves.latest),
            "smoothed": drawn(&curves.smoothed),
            "least": drawn(&curves.least),
        },
    })
}

fn stream(stream: &Stream, shift: u64) -> Value {
    let marks = stream.marks.iter().map(|(at, what)| (at + shift, *what));
    json!({
        "id": stream.id.0,
        "name": format!("{:?}", stream.id),
        "protocol": stream.protocol,
        "size": stream.size,
        "from": stream.from + shift,
        "until": stream.until + shift,
        "moved": stream.moved,
        "again": stream.again,
        "fin": stream.fin.map(|at| at.map(|at| at + shift)),
        "lane": lane(&stream.lane),
        "marks": marks.collect::<Vec<_>>(),
    })
}

fn lane(lane: &crate::gather::Lane) -> Value {
    let (out, most_out) = lane.shades(Way::Sent);
    let (back, most_back) = lane.shades(Way::Received);
    json!({"out": out, "in": back, "most": [most_out, most_back]})
}

fn curve(curve: &Curve, shift: u64) -> Value {
    let (mut times, values) = curve.points();
    times.iter_mut().for_each(|at| *at = at.saturating_add(shift));
    json!([times, values])
}

/// A row of a table, in the order of the page's time.
struct Placed<'a, T> {
    at: u64,
    node: usize,
    connection: Option<usize>,
    row: &'a T,
}

fn placed<'a, T>(
    rows: Vec<(usize, Vec<&'a T>)>,
    of: impl Fn(&T) -> (u64, Option<Slot>),
    joined: &Joined,
    places: &HashMap<Place, usize>,
) -> Vec<Placed<'a, T>> {
    let mut all = Vec::new();
    for (node, rows) in rows {
        let shift = shift(joined, node);
        all.extend(rows.into_iter().map(|row| {
            let (at, slot) = of(row);
            let connection = slot.and_then(|slot| places.get(&(node, slot)).copied());
            Placed { at: at.saturating_add(shift), node, connection, row }
        }));
    }
    // Of one node they stay as they happened.
    all.sort_by_key(|one| (one.at, one.node));
    all
}

/// A table by its columns.
fn packets(nodes: &mut [Node<'_>], joined: &Joined, places: &HashMap<Place, usize>) -> Value {
    let rows = nodes.iter_mut().enumerate();
    let rows = rows.map(|(at, node)| (at, node.run.packets.finish())).collect();
    let rows = placed(rows, |row: &Row| (row.at, row.connection), joined, places);
    let fate = |row: &Row| match row.fate {
        Fate::None => 0,
        Fate::Flying => 1,
        Fate::Acked => 2,
        Fate::Lost => 3,
        Fate::Late => 4,
    };
    let column =
        |of: &dyn Fn(&Row) -> Value| rows.iter().map(|one| of(one.row)).collect::<Vec<_>>();
    json!({
        "step": column(&|row| row.step.into()),
        "at": rows.iter().map(|one| one.at).collect::<Vec<_>>(),
        "node": rows.iter().map(|one| one.node).collect::<Vec<_>>(),
        "connection": rows.iter().map(|one| one.connection).collect::<Vec<_>>(),
        "sent": column(&|row| u8::from(row.way == Way::Sent).into()),
        "number": column(&|row| row.number.into()),
        "size": column(&|row| row.size.into()),
        "fate": column(&|row| fate(row).into()),
        "settled": column(&|row| (row.settled.saturating_sub(row.at)).into()),
        "again": column(&|row| u8::from(row.again).into()),
        "stream": column(&|row| row.stream.map(|(id, ..)| id.0).into()),
        "offset": column(&|row| row.stream.map(|(_, offset, _)| offset).into()),
        "len": column(&|row| row.stream.map(|(.., len)| len).into()),
        "words": column(&|row| row.words.as_str().into()),
    })
}

fn lines(nodes: &mut [Node<'_>], joined: &Joined, places: &HashMap<Place, usize>) -> Value {
    let lines = nodes.iter_mut().enumerate();
    let lines = lines.map(|(at, node)| (at, node.run.lines.finish())).collect();
    let lines = placed(lines, |line: &Line| (line.at, line.connection), joined, places);
    let column =
        |of: &dyn Fn(&Line) -> Value| lines.iter().map(|one| of(one.row)).collect::<Vec<_>>();
    json!({
        "step": column(&|line| line.step.into()),
        "at": lines.iter().map(|one| one.at).collect::<Vec<_>>(),
        "node": lines.iter().map(|one| one.node).collect::<Vec<_>>(),
        "op": column(&|line| format!("{:?}", line.op).into()),
        "connection": lines.iter().map(|one| one.connection).collect::<Vec<_>>(),
        "stream": column(&|line| line.stream.map(|id| format!("{id:?}")).into()),
        "words": column(&|line| line.words.as_str().into()),
    })
}
