//! What an operator sets from outside: the variables of the environment, and what they may say.

use std::ffi::OsString;

use aqueduct_core::config::{EndpointConfig, Streaming};
use thiserror::Error;

/// A variable of the environment that says what cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{variable}={value} cannot be: it takes {possible}")]
#[non_exhaustive]
pub struct EnvironmentError {
    /// The variable.
    pub variable: &'static str,
    /// What it says.
    pub value: String,
    /// What it could say.
    pub possible: &'static str,
}

const SWITCH: &str = "true, on or 1, or false, off or 0";
const BYTES: &str = "a number of bytes from 0 to 4611686018427387903";
const MOST_BYTES: u64 = (1 << 62) - 1;

/// `config` with what the environment says about the way of large messages: `AQUEDUCT_STREAMING`,
/// `AQUEDUCT_STREAMING_THRESHOLD`, `AQUEDUCT_PIPED_FORWARDING` and `AQUEDUCT_STREAMING_SHADOW` (see
/// [`Streaming`]). A variable that is not set, or empty, changes nothing.
///
/// # Errors
/// A variable says what cannot be.
pub fn heeded(config: EndpointConfig) -> Result<EndpointConfig, EnvironmentError> {
    let now = config.transport().streaming();
    let then = overlaid(now, std::env::var_os)?;
    if then == now {
        return Ok(config);
    }
    let transport = config.transport().clone().with_streaming(then);
    Ok(config.with_transport(transport))
}

fn overlaid(
    mut streaming: Streaming,
    look: impl Fn(&'static str) -> Option<OsString>,
) -> Result<Streaming, EnvironmentError> {
    let said = |variable| look(variable).filter(|value| !value.is_empty());
    for (variable, setting) in [
        ("AQUEDUCT_STREAMING", &mut streaming.streaming_enabled),
        ("AQUEDUCT_PIPED_FORWARDING", &mut streaming.piped_forwarding),
        ("AQUEDUCT_STREAMING_SHADOW", &mut streaming.streaming_shadow),
    ] {
        if let Some(value) = said(variable) {
            *setting = switch(&value).ok_or_else(|| wrong(variable, &value, SWITCH))?;
        }
    }
    let variable = "AQUEDUCT_STREAMING_THRESHOLD";
    if let Some(value) = said(variable) {
        let bytes = value.to_str().and_then(|text| text.trim().parse().ok());
        let bytes = bytes.filter(|bytes| *bytes <= MOST_BYTES);
        streaming.streaming_threshold = bytes.ok_or_else(|| wrong(variable, &value, BYTES))?;
    }
    Ok(streaming)
}

fn switch(value: &OsString) -> Option<bool> {
    match value.to_str()?.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Some(true),
        "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn wrong(variable: &'static str, value: &OsString, possible: &'static str) -> EnvironmentError {
    EnvironmentError { variable, value: value.to_string_lossy().into_owned(), possible }
}

#[cfg(test)]
#[path = "environment_tests.rs"]
mod tests;
