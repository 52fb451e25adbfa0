//! The two text formats that scrapers ask for.
//!
//! `prometheus-client` writes OpenMetrics, where a counter's family is named without the `_total`
//! of its samples. Prometheus's own, older format knows no such families: there HELP and TYPE must
//! stand on the very name that is exposed, or the sample has neither. So the older one is made from
//! the newer by renaming.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// In which words a scrape is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Prometheus's text format 0.0.4, which everything reads.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What an HTTP request wants by its `Accept` header.
    pub fn accepted(accept: Option<&str>) -> Self {
        let wanted = accept.unwrap_or_default().split(',');
        let open = wanted.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        match open.into_iter().any(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"))
        {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    /// What stands in `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// All that is registered, now.
    ///
    /// # Errors
    /// A collector's.
    pub fn write(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, registry)?;
        Ok(match self {
            Self::OpenMetrics => text,
            Self::Prometheus => classic(&text),
        })
    }
}

/// OpenMetrics in Prometheus's text format: counters' families are called as their samples are, an
/// info is a gauge, and what the older format does not know is left out.
fn classic(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            push(&mut out, &[without_exemplar(line)]);
            continue;
        };
        if let Some(rest) = comment.strip_prefix("HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = comment.strip_prefix("TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, words)) = help.take().filter(|(family, _)| *family == name) {
                push(&mut out, &["# HELP ", name, suffix, " ", words]);
            }
            push(&mut out, &["# TYPE ", name, suffix, " ", kind]);
        }
    }
    out
}

fn without_exemplar(sample: &str) -> &str {
    sample.split_once(" # {").map_or(sample, |(sample, _)| sample)
}

fn push(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied());
    out.push('\n');
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
