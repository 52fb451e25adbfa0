//! What the tests of the room share.

use std::path::PathBuf;
use std::{vec, vec::Vec};

use serde_json::Value;

use super::provider::Provider;

/// Every provider that is compiled in.
pub(crate) fn providers() -> Vec<Provider> {
    vec![
        Provider::Rust,
        #[cfg(feature = "aws-lc-rs")]
        Provider::AwsLc,
    ]
}

/// A file of published vectors, if the folder is there: `AQUEDUCT_VECTORS`, or `shared/vectors`
/// beside the repository.
pub(crate) fn vectors(file: &str) -> Option<Value> {
    let folder = std::env::var_os("AQUEDUCT_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
        std::eprintln!("vectors folder not found: skipped {file}");
        return None;
    };
    Some(serde_json::from_str(&text).expect("a vector file is JSON"))
}

/// The bytes that a hexadecimal string of a vector file spells.
pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("a string of hex digits");
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}
