//! `fuzz/run streams`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| aqueduct_fuzz::run("streams", data));

#[cfg(not(fuzzing))]
fn main() {}
