//! The integration tests, in one binary.

mod both;
mod byzantine;
mod closing;
mod crowd;
mod datagrams;
mod doors;
mod extremes;
mod keys;
mod matrix;
mod modes;
mod paths;
mod pipes;
mod routes;
mod search;
mod strangers;
mod streams;
mod tamper;
mod tidy;
mod transfer;
mod unfinished;
