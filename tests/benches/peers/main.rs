//! Aqueduct beside its peers, in one process and one run: `cargo bench -p aqueduct-tests --features
//! peers --bench peers`. Rounds are interleaved; figures are medians with their range.
//!
//! `-- --json` prints one JSON object; `-- --rounds N`, `-- --size MIB` change the run; `-- --case
//! relay` sends through a relay, beside a copy loop on quinn.

mod aqueduct;
mod quinn;
mod relay;
mod run;
mod tls;

fn main() {
    run::main();
}
