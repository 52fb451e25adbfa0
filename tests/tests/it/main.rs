//! The integration tests, in one binary.

mod both;
mod broken;
mod byzantine;
mod closing;
mod crowd;
mod datagrams;
mod doors;
mod extremes;
mod fan;
mod figures;
mod keys;
mod lessons;
mod matrix;
mod modes;
mod paths;
mod pipes;
mod routes;
mod search;
mod search_ways;
mod slow;
mod strangers;
mod streams;
mod tamper;
mod tidy;
mod transfer;
mod unfinished;
