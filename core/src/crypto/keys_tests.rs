//! Packet protection.
