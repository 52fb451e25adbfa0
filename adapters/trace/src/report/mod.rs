//! One page for people (spec 24.2), of one node or of several that met.
//!
//! The page is a fixed frame of HTML, CSS and script, and what was seen as JSON in the middle. The
//! script draws; nothing here does.

mod data;
mod join;
mod notes;
mod ways;

use aqueduct_core::trace::{Trace, TraceError};

use crate::gather::Run;

/// Bytes of a page, at most.
pub const MAX_PAGE: usize = 8 << 20;

const FRAME: &str = include_str!("../../assets/report.html");
const STYLE: &str = include_str!("../../assets/report.css");
/// In the order in which they need each other.
const SCRIPTS: [&str; 9] = [
    include_str!("../../assets/units.js"),
    include_str!("../../assets/time.js"),
    include_str!("../../assets/plot.js"),
    include_str!("../../assets/panels.js"),
    include_str!("../../assets/lanes.js"),
    include_str!("../../assets/ways.js"),
    include_str!("../../assets/tables.js"),
    include_str!("../../assets/summary.js"),
    include_str!("../../assets/main.js"),
];

/// A page, and what is to be said of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// One HTML file that asks for nothing outside itself.
    pub page: String,
    /// What the page cannot show, and what was left out; as it stands there.
    pub notes: Vec<String>,
    /// Where this core did something else than a tape says: the first of them.
    pub diverged: Option<String>,
}

/// Tapes on a page, at most.
pub const MAX_NODES: usize = 16;

/// A node on a page: its tape, and what was seen of it.
#[derive(Debug)]
struct Node<'a> {
    name: &'a str,
    bytes: usize,
    head: Trace<'a>,
    run: Run,
}

/// Makes the page of a tape. `name`: what the tape is called there.
///
/// # Errors
/// [`TraceError`]: these bytes are no tape.
pub fn report(tape: &[u8], name: &str) -> Result<Report, TraceError> {
    report_all(&[(tape, name)]).map_err(|(_, why)| why)
}

/// Makes one page of the tapes of several nodes, the first [`MAX_NODES`] of them: each with what it
/// is called there. Ends of the same connection are joined, clocks are set by their packets, and
/// streams are followed from node to node (spec R-RPT-13).
///
/// # Errors
/// Which of them is no tape, and why.
pub fn report_all(tapes: &[(&[u8], &str)]) -> Result<Report, (usize, TraceError)> {
    let count = tapes.len().min(MAX_NODES);
    let mut nodes = Vec::new();
    for (at, (tape, name)) in tapes.iter().take(MAX_NODES).enumerate() {
        let named = |why| (at, why);
        let head = Run::head(tape).map_err(named)?;
        let run = Run::of(tape, count).map_err(named)?;
        nodes.push(Node { name, bytes: tape.len(), head, run });
    }
    let joined = join::Joined::of(&nodes);
    loop {
        let ways = ways::of(&nodes, &joined);
        let notes = notes::of(&mut nodes, &joined, &ways);
        let data = data::of(&mut nodes, &joined, &ways.0, &notes);
        let page = page(&data.to_string());
        let halved = |nodes: &mut [Node<'_>]| nodes.iter_mut().all(|node| node.run.halve());
        if page.len() <= MAX_PAGE || !halved(&mut nodes) {
            let diverged = nodes.into_iter().find_map(|node| node.run.diverged);
            return Ok(Report { page, notes, diverged });
        }
    }
}

/// The frame, filled.
fn page(data: &str) -> String {
    // No tape can end the script that its data stands in, or begin a comment there.
    let data = data.replace('<', "\\u003c").replace('\u{2028}', "\\u2028");
    let data = data.replace('\u{2029}', "\\u2029");
    let mut page = String::with_capacity(data.len() + (128 << 10));
    let mut rest = FRAME;
    while let Some((before, after)) = rest.split_once("/*{") {
        page.push_str(before);
        let (what, after) = after.split_once("}*/").unwrap_or((after, ""));
        match what {
            "style" => page.push_str(STYLE),
            "data" => page.push_str(&data),
            _ => SCRIPTS.iter().for_each(|script| page.push_str(script)),
        }
        rest = after;
    }
    page.push_str(rest);
    page
}
