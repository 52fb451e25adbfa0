//! Exploring what ships: a model checker drives the very machines that are released.
//!
//! Each file below is a model: nodes with short scripts over a network that drops, duplicates,
//! delays and reorders. [`world`] says what can happen, [`rules`] what must hold, [`search`] how
//! far is looked. How many moves the adversary has, how many states that makes and how long it
//! takes is printed with `--nocapture`; `AQUEDUCT_DEPTH=3` gives it three, `AQUEDUCT_SECONDS=60`
//! as many as fit into a minute for each model.

mod app;
mod close;
mod credit;
mod handshake;
mod keys;
mod moves;
mod nodes;
mod pipes;
mod planted;
mod rules;
mod search;
mod streams;
mod world;
