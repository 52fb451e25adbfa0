//! Aqueduct beside its peers, in one process and one run: `cargo bench -p aqueduct-tests --features
//! peers --bench peers`. Rounds are interleaved; figures are medians with their range.
//!
//! `-- --json` prints one JSON object; `-- --rounds N`, `-- --size MIB` change the run.

#[cfg(not(feature = "peers"))]
fn main() {
    println!("built without the peers: add `--features peers`");
}

#[cfg(feature = "peers")]
fn main() {
    run::main();
}

#[cfg(feature = "peers")]
mod aqueduct;
#[cfg(feature = "peers")]
mod quinn;
#[cfg(feature = "peers")]
mod run;
#[cfg(feature = "peers")]
mod tls;
