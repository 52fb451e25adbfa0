//! What was played, for who plays all of it twice and compares.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

/// A network is over: adds a line to the file that the environment names (`AQUEDUCT_PLAYED`), with
/// whose test it was and the network's fingerprint. Lines of one test stand in its own order, lines
/// of different ones in any.
///
/// # Panics
/// If there is such a name and no such file can be written.
pub(super) fn tell(fingerprint: impl FnOnce() -> [u8; 32]) {
    if std::thread::panicking() {
        return;
    }
    let Some(file) = std::env::var_os("AQUEDUCT_PLAYED") else { return };
    let mut line = String::new();
    let _ = write!(line, "{} ", std::thread::current().name().unwrap_or("(nobody)"));
    for byte in fingerprint() {
        let _ = write!(line, "{byte:02x}");
    }
    line.push('\n');
    // One write a line, so that those of two threads do not mix.
    let file = OpenOptions::new().create(true).append(true).open(file);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of what was played");
}
