//! `aqueduct id`: who this node is.

use serde_json::json;

use crate::args::Common;
use crate::exit::Failure;
use crate::key;
use crate::output::{Fields, Output};

/// Shows the id; makes the key if there is none.
///
/// # Errors
/// The key can neither be read nor made.
pub(super) fn run(common: &Common, output: &Output) -> Result<Fields, Failure> {
    let loaded = key::load_or_make(common.key.as_deref())?;
    let id = loaded.key.id().to_string();
    output.line(&id);
    if !output.is_json() {
        let verb = if loaded.made { "made" } else { "found" };
        output.note(&format!("key {verb} in {}", loaded.path.display()));
    }
    let mut fields = Fields::new();
    fields.insert("command".into(), json!("id"));
    fields.insert("id".into(), json!(id));
    fields.insert("key".into(), json!(loaded.path.to_string_lossy()));
    fields.insert("made".into(), json!(loaded.made));
    Ok(fields)
}
