//! What of the `aqueduct` command is of use elsewhere: its tickets.

pub mod ticket;
