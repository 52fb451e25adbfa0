//! `--trace`: the nodes of this process are recorded, and their files are whole at its end.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aqueduct_tokio::{BindError, Config, Endpoint, Payload, Recorded, Recording};

use crate::output::Output;

/// How long the disk may take in the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the first node's tape goes, and what is kept; other nodes' names are put behind it.
static FILE: OnceLock<(PathBuf, Payload)> = OnceLock::new();
static RUNNING: Mutex<Vec<(PathBuf, Recorded)>> = Mutex::new(Vec::new());

/// From now on nodes are recorded, if the user wants it.
pub(crate) fn want(file: Option<&Path>, payload: Payload, output: &Output) {
    if let Some(file) = file
        && FILE.set((file.to_owned(), payload)).is_ok()
    {
        warn(&file.display().to_string(), payload, output);
    }
}

/// Says what whoever has the file of a tape can do with it.
pub(crate) fn warn(file: &str, payload: Payload, output: &Output) {
    output.note(&match payload {
        Payload::Elided => format!(
            "recording to {file}: without keys and payload; ids, addresses, sizes and times are in \
             it"
        ),
        _ => format!(
            "recording to {file}: whoever has that file has this node's key and can read all that \
             it sends and receives; `aqueduct trace redact` makes one to give away"
        ),
    });
}

/// Binds a node by `bind`. Of several in a process, each but the first has a name.
///
/// # Errors
/// Those of `bind`.
pub(crate) fn record(
    config: Config,
    name: Option<&str>,
    bind: impl FnOnce(Config) -> Result<Endpoint, BindError>,
) -> Result<Endpoint, BindError> {
    let Some((file, payload)) = FILE.get() else { return bind(config) };
    let mut file = file.clone().into_os_string();
    if let Some(name) = name {
        file.push(".");
        file.push(name);
    }
    let file = PathBuf::from(file);
    let words = format!("aqueduct {}", name.unwrap_or("node"));
    let recording = Recording::to(&file).with_label(words).with_payload(*payload);
    let endpoint = bind(config.with_recording(recording))?;
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.extend(endpoint.recording().map(|recorded| (file, recorded)));
    Ok(endpoint)
}

/// The process ends: so do the tapes.
pub(crate) async fn end(output: &Output) {
    let running = std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner));
    for (file, recorded) in running {
        let file = file.display();
        match tokio::time::timeout(PATIENCE, recorded.end()).await {
            Ok(Ok(bytes)) => tracing::info!(%file, bytes, "recorded"),
            Ok(Err(error)) => output.note(&format!("{file} is not whole: {error}")),
            Err(_) => output.note(&format!("{file} is not whole: the disk takes too long")),
        }
    }
}
