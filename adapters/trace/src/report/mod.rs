//! One page for people (spec 24.2).
//!
//! The page is a fixed frame of HTML, CSS and script, and what was seen as JSON in the middle. The
//! script draws; nothing here does.

mod data;
mod notes;

use aqueduct_core::trace::TraceError;

use crate::gather::Run;

/// Bytes of a page, at most.
pub const MAX_PAGE: usize = 8 << 20;

const FRAME: &str = include_str!("../../assets/report.html");
const STYLE: &str = include_str!("../../assets/report.css");
/// In the order in which they need each other.
const SCRIPTS: [&str; 8] = [
    include_str!("../../assets/units.js"),
    include_str!("../../assets/time.js"),
    include_str!("../../assets/plot.js"),
    include_str!("../../assets/panels.js"),
    include_str!("../../assets/lanes.js"),
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
    /// Where this core did something else than the tape says.
    pub diverged: Option<String>,
}

/// Makes the page of a tape. `name`: what the tape is called there.
///
/// # Errors
/// [`TraceError`]: these bytes are no tape.
pub fn report(tape: &[u8], name: &str) -> Result<Report, TraceError> {
    let head = Run::head(tape)?;
    let mut run = Run::of(tape)?;
    loop {
        let notes = notes::of(&mut run, &head);
        let data = data::of(&mut run, &head, tape.len(), name, &notes);
        let page = page(&data.to_string());
        if page.len() <= MAX_PAGE || !run.halve() {
            return Ok(Report { page, notes, diverged: run.diverged });
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
