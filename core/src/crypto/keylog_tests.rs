//! Key log lines.
