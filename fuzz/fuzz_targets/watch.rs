//! `fuzz/run watch`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| aqueduct_fuzz::run("watch", data));

#[cfg(not(fuzzing))]
fn main() {}
