//! The `wire` room.
pub mod ack;
pub mod frame;
pub mod id;
pub mod open;
pub mod packet;
