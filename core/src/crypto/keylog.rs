//! Key log lines for a dissector.
