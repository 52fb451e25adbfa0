//! Peers that hold keys and keep no rule. One file a theme.

mod acks;
mod beside;
mod cids;
mod credit;
mod floods;
mod keys;
mod params;
mod streams;
