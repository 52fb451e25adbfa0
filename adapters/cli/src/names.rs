//! Names from the other side, before anything is made of them.
//!
//! A name is data of a stranger: it must neither lead out of the folder that was chosen nor
//! surprise on another system. What is not plainly harmless is refused, never repaired: a repaired
//! name is one that nobody chose. Links inside the folder are the business of `store`, which asks
//! the file system.

use aqueduct_tokio::NodeId;
use thiserror::Error;

/// Bytes of a whole path (spec R-FILE-8).
pub(crate) const MAX_PATH: usize = 4096;
/// Folders inside each other.
pub(crate) const MAX_DEPTH: usize = 64;
/// Bytes of one part of a path.
pub(crate) const MAX_PART: usize = 255;
/// What the names of unfinished things begin with; no other side may choose such a name.
pub(crate) const UNFINISHED: &str = ".aqueduct-";

/// Which system's habits the name must fit, beside what holds everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habits {
    /// Colons and question marks are letters.
    Unix,
    /// They are not.
    Windows,
}

impl Habits {
    /// Those of the system that this was built for.
    pub(crate) const HERE: Self = if cfg!(windows) { Self::Windows } else { Self::Unix };
}

/// Takes the path apart, `/` between the parts (spec R-FILE-8).
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn parts(path: &str, habits: Habits) -> Result<Vec<&str>, NameError> {
    if path.is_empty() {
        return Err(NameError::Empty);
    }
    if path.len() > MAX_PATH {
        return Err(NameError::Long);
    }
    let parts: Vec<&str> = path.split('/').collect();
    if parts.len() > MAX_DEPTH {
        return Err(NameError::Deep);
    }
    parts.iter().try_for_each(|part| check_part(part, habits))?;
    Ok(parts)
}

fn check_part(part: &str, habits: Habits) -> Result<(), NameError> {
    if part.is_empty() {
        return Err(NameError::Empty);
    }
    if part == "." || part == ".." {
        return Err(NameError::Dots);
    }
    if part.len() > MAX_PART {
        return Err(NameError::Long);
    }
    if part.contains('\\') {
        return Err(NameError::Separator);
    }
    if part.chars().any(is_unprintable) {
        return Err(NameError::Control);
    }
    if habits == Habits::Windows && part.contains(['<', '>', ':', '"', '|', '?', '*']) {
        return Err(NameError::Separator);
    }
    if part.ends_with(['.', ' ']) {
        return Err(NameError::Ending);
    }
    if part.to_ascii_lowercase().starts_with(UNFINISHED) {
        return Err(NameError::Reserved);
    }
    if is_device(part) { Err(NameError::Reserved) } else { Ok(()) }
}

/// Names that Windows gives to devices, with any ending and in any case.
fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end_matches(' ').to_ascii_lowercase();
    if matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$") {
        return true;
    }
    let number = stem.strip_prefix("com").or(stem.strip_prefix("lpt")).unwrap_or("");
    matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
}

/// Control characters, and those that turn or hide the text around them.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` of the other side, fit for a terminal: what controls or turns it becomes a `?`.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unprintable(c) { '?' } else { c }).collect()
}

/// A node for a line that has no room for its id: the beginning of it.
pub(crate) fn short(id: &NodeId) -> String {
    id.to_string().chars().take(8).collect()
}

/// Why a name from the other side is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum NameError {
    /// Nothing between two slashes, or an absolute path.
    #[error("a part of the name is empty (absolute names are refused)")]
    Empty,
    /// `.` or `..`.
    #[error("the name holds `.` or `..`")]
    Dots,
    /// More than [`MAX_PATH`] bytes, or a part of more than [`MAX_PART`].
    #[error("the name is too long")]
    Long,
    /// More than [`MAX_DEPTH`] parts.
    #[error("the name has too many parts")]
    Deep,
    /// A character that separates on some system.
    #[error("the name holds a character that means something to a file system")]
    Separator,
    /// A control character, or one that turns the text.
    #[error("the name holds a control character")]
    Control,
    /// A dot or a space at the end, which some systems drop.
    #[error("a part of the name ends in a dot or a space")]
    Ending,
    /// A device of Windows, or our own prefix.
    #[error("the name is reserved")]
    Reserved,
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
