//! What can happen to datagrams and messages, for explorers, beside plain models.

pub mod datagrams;
pub mod messages;
