//! Figures for Prometheus, by the `prometheus-client` crate (feature `metrics`).
//!
//! [`EndpointCollector`] asks an endpoint for its [`Figures`](crate::Figures) when it is scraped,
//! and at no other time: nothing is counted twice, and nothing is counted for nobody. What the
//! figures are called and mean is spec `20-figures.md`. [`Format`] writes a registry in either of
//! the formats that scrapers ask for.

mod families;
mod text;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

use crate::endpoint::Endpoint;
use crate::hub::Shared;
use crate::latency::{LATENCY_BOUNDS, LatencyStats};

pub use prometheus_client;
pub use text::Format;

use families::{FAMILIES, LATENCY, Labels, Value};

/// The figures of endpoints, taken at each scrape. It keeps no endpoint alive; of one that has
/// ended it tells what was last.
///
/// A scrape takes the place of an endpoint's driver for as long as it takes to add up its
/// connections, and waits for the turn that is under way.
#[derive(Default)]
pub struct EndpointCollector {
    endpoints: Vec<(Option<String>, Arc<Shared>)>,
}

impl EndpointCollector {
    /// Of one endpoint. Its figures have no label that names it.
    pub fn new(endpoint: &impl AsRef<Endpoint>) -> Self {
        Self { endpoints: vec![(None, endpoint.as_ref().shared().clone())] }
    }

    /// One more endpoint, whose figures have the label `endpoint` with this name. All endpoints of
    /// a process stand in one collector, since each family of figures is exposed once.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, endpoint: &impl AsRef<Endpoint>) -> Self {
        self.endpoints.push((Some(name.into()), endpoint.as_ref().shared().clone()));
        self
    }
}

impl fmt::Debug for EndpointCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.endpoints).finish()
    }
}

impl Collector for EndpointCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let figures: Vec<_> = self
            .endpoints
            .iter()
            .map(|(name, shared)| (name.as_deref(), shared.figures()))
            .collect();
        for family in FAMILIES {
            let mut out = encoder.encode_descriptor(family.name, family.help, None, family.kind)?;
            for (endpoint, figures) in &figures {
                for (labels, value) in (family.samples)(figures) {
                    labelled(&mut out, labels, *endpoint, |out| put(out, family.kind, value))?;
                }
            }
        }
        let kind = MetricType::Histogram;
        let mut out = encoder.encode_descriptor(LATENCY.name, LATENCY.help, None, kind)?;
        for (endpoint, figures) in &figures {
            for (labels, stats) in (LATENCY.samples)(figures) {
                labelled(&mut out, labels, *endpoint, |out| histogram(out, &stats))?;
            }
        }
        Ok(())
    }
}

fn labelled(
    out: &mut MetricEncoder<'_>,
    labels: Labels,
    endpoint: Option<&str>,
    put: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    let mut all = labels.to_vec();
    all.extend(endpoint.map(|name| ("endpoint", name)));
    if all.is_empty() {
        return put(out);
    }
    put(&mut out.encode_family(&all)?)
}

fn put(out: &mut MetricEncoder<'_>, kind: MetricType, value: Value) -> fmt::Result {
    match (kind, value) {
        (MetricType::Counter, Value::Number(n)) => {
            out.encode_counter(&n, None::<&Exemplar<NoLabelSet, u64>>)
        }
        (MetricType::Counter, Value::Time(time)) => {
            out.encode_counter(&time.as_secs_f64(), None::<&Exemplar<NoLabelSet, u64>>)
        }
        (_, Value::Number(n)) => out.encode_gauge(&i64::try_from(n).unwrap_or(i64::MAX)),
        (_, Value::Time(time)) => out.encode_gauge(&time.as_secs_f64()),
    }
}

fn histogram(out: &mut MetricEncoder<'_>, stats: &LatencyStats) -> fmt::Result {
    let bounds = LATENCY_BOUNDS.iter().map(|bound| bound.as_secs_f64());
    let bounds = bounds.chain([f64::INFINITY]);
    let buckets: Vec<_> = bounds.zip(stats.counts).collect();
    let (sum, count) = (stats.sum.as_secs_f64(), stats.count());
    out.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
