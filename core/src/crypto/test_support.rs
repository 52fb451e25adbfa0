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

/// A file of published vectors, if the folder is there: `AQUEDUCT_VECTORS`, or `shared/vectors` beside
/// the repository.
pub(crate) fn vectors(file: &str) -> Option<Value> {
    let folder = std::env::var_os("AQUEDUCT_VECTORS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    let text = std::fs::read_to_string(folder.join(file)).ok()?;
    Some(serde_json::from_str(&text).expect("a vector file is JSON"))
}
