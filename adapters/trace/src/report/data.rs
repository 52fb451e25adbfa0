//! What was seen, as the page's script wants it. Times are microseconds since the run began.

use std::collections::{HashMap, HashSet};

use aqueduct_core::tape::{Payload, Slot};
use aqueduct_core::trace::{Depth, Trace, Way};
use serde_json::{Value, json};

use crate::gather::{Connection, Curve, Fate, Line, Row, Run, Stream};

/// Connections on a page, at most.
pub(super) const MOST_CONNECTIONS: usize = 64;
/// Lanes of streams, at most.
pub(super) const MOST_LANES: usize = 400;

/// All of it.
pub(super) fn of(
    run: &mut Run,
    head: &Trace<'_>,
    bytes: usize,
    name: &str,
    notes: &[String],
) -> Value {
    let places = chosen(run);
    let lanes = lanes(run, &places);
    let mut connections: Vec<_> = places.iter().collect();
    connections.sort_unstable_by_key(|(_, place)| **place);
    let shown = connections.into_iter().filter_map(|(slot, _)| run.connections.get(slot));
    let connections: Vec<Value> = shown.map(|one| connection(one, &lanes)).collect();
    let span = run.span;
    let payload = match head.payload() {
        Payload::Full => "full",
        Payload::Referenced => "by reference",
        Payload::Elided => "elided",
    };
    let depth = match run.depth {
        Depth::Replayed => "replayed",
        Depth::Blank => "blank",
        Depth::Records => "records",
    };
    json!({
        "tape": {
            "name": name,
            "label": head.label(),
            "version": head.version(),
            "payload": payload,
            "depth": depth,
            "bytes": bytes,
            "records": span.records,
            "began": span.from.as_nanos() / 1_000,
            "length": span.length(),
        },
        "notes": notes,
        "sums": sums(run),
        "connections": connections,
        "piped": curve(&run.piped),
        "packets": packets(&run.packets.finish(), &places),
        "lines": lines(&run.lines.finish(), &places),
    })
}

/// The connections that are shown, and where.
fn chosen(run: &Run) -> HashMap<Slot, usize> {
    let mut all: Vec<&Connection> = run.connections.values().collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.sums.bytes[0].saturating_add(one.sums.bytes[1])));
    all.truncate(MOST_CONNECTIONS);
    all.sort_by_key(|one| (one.from, one.slot));
    all.iter().enumerate().map(|(place, one)| (one.slot, place)).collect()
}

/// The streams that have a lane: those that moved most.
fn lanes(run: &Run, places: &HashMap<Slot, usize>) -> HashSet<(Slot, u64)> {
    let of = |one: &'_ Connection| {
        let slot = one.slot;
        one.streams.values().map(move |s| (s.bytes(), slot, s.id.0)).collect::<Vec<_>>()
    };
    let shown = run.connections.values().filter(|one| places.contains_key(&one.slot));
    let mut all: Vec<_> = shown.flat_map(of).collect();
    all.sort_by_key(|(bytes, slot, id)| (std::cmp::Reverse(*bytes), *slot, *id));
    all.truncate(MOST_LANES);
    all.into_iter().map(|(_, slot, id)| (slot, id)).collect()
}

fn sums(run: &Run) -> Value {
    let sums = run.sums();
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
        "events": run.events,
        "connections": run.connections.len(),
        "strays": run.strays.packets.iter().sum::<u64>(),
    })
}

fn connection(one: &Connection, lanes: &HashSet<(Slot, u64)>) -> Value {
    let mut samples = one.samples.clone();
    samples.sort_unstable();
    let at = |percent: usize| samples.get(samples.len().saturating_sub(1) * percent / 100).copied();
    let shown = one.streams.values().filter(|s| lanes.contains(&(one.slot, s.id.0)));
    let curves = &one.curves;
    let moved = |side: fn(&Stream) -> [u64; 2]| {
        one.streams
            .values()
            .map(side)
            .fold([0_u64; 2], |all, s| [all[0].saturating_add(s[0]), all[1].saturating_add(s[1])])
    };
    json!({
        "id": one.name(),
        "dialled": one.dialled,
        "peer": one.peer,
        "remote": one.remote.map(|remote| remote.to_string()),
        "from": one.from,
        "until": one.until,
        "connected": one.connected,
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
        "streams": shown.map(stream).collect::<Vec<_>>(),
        "all_streams": one.streams.len(),
        "curves": {
            "window": curve(&curves.window),
            "flight": curve(&curves.flight),
            "threshold": curve(&curves.threshold),
            "pacing": curve(&curves.pacing),
            "held": curve(&curves.held),
            "latest": curve(&curves.latest),
            "smoothed": curve(&curves.smoothed),
            "least": curve(&curves.least),
        },
    })
}

fn stream(stream: &Stream) -> Value {
    json!({
        "id": stream.id.0,
        "name": format!("{:?}", stream.id),
        "protocol": stream.protocol,
        "size": stream.size,
        "from": stream.from,
        "until": stream.until,
        "moved": stream.moved,
        "again": stream.again,
        "fin": stream.fin,
        "lane": lane(&stream.lane),
        "marks": stream.marks,
    })
}

fn lane(lane: &crate::gather::Lane) -> Value {
    let (out, most_out) = lane.shades(Way::Sent);
    let (back, most_back) = lane.shades(Way::Received);
    json!({"out": out, "in": back, "most": [most_out, most_back]})
}

fn curve(curve: &Curve) -> Value {
    let (times, values) = curve.points();
    json!([times, values])
}

/// A table by its columns.
fn packets(rows: &[&Row], places: &HashMap<Slot, usize>) -> Value {
    let place = |row: &Row| row.connection.and_then(|slot| places.get(&slot).copied());
    let fate = |row: &Row| match row.fate {
        Fate::None => 0,
        Fate::Flying => 1,
        Fate::Acked => 2,
        Fate::Lost => 3,
        Fate::Late => 4,
    };
    let column = |of: &dyn Fn(&Row) -> Value| rows.iter().map(|row| of(row)).collect::<Vec<_>>();
    json!({
        "step": column(&|row| row.step.into()),
        "at": column(&|row| row.at.into()),
        "connection": column(&|row| place(row).into()),
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

fn lines(lines: &[&Line], places: &HashMap<Slot, usize>) -> Value {
    let column = |of: &dyn Fn(&Line) -> Value| lines.iter().map(|one| of(one)).collect::<Vec<_>>();
    let place = |line: &Line| line.connection.and_then(|slot| places.get(&slot).copied());
    json!({
        "step": column(&|line| line.step.into()),
        "at": column(&|line| line.at.into()),
        "op": column(&|line| format!("{:?}", line.op).into()),
        "connection": column(&|line| place(line).into()),
        "stream": column(&|line| line.stream.map(|id| format!("{id:?}")).into()),
        "words": column(&|line| line.words.as_str().into()),
    })
}
