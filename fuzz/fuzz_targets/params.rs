//! `cargo fuzz run params --features libfuzzer`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| aqueduct_fuzz::params(data));

#[cfg(not(fuzzing))]
fn main() {}
