use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::Format;

fn registry() -> Registry {
    let mut registry = Registry::default();
    let counter: Counter = Counter::default();
    counter.inc_by(7);
    registry.register("done", "What was done", counter);
    let gauge: Gauge = Gauge::default();
    registry.register_with_unit("held", "What is held", Unit::Bytes, gauge);
    let latency = Histogram::new([0.5]);
    latency.observe(0.1);
    registry.register("took", "How long it took", latency);
    registry.register("build", "Which", Info::new([("version", "1")]));
    registry
}

/// spec: R-FIG-3
#[test]
fn in_the_older_format_help_and_type_stand_on_the_names_of_the_samples() {
    let text = Format::Prometheus.write(&registry()).unwrap();
    let expected = "\
# HELP done_total What was done.
# TYPE done_total counter
done_total 7
# HELP held_bytes What is held.
# TYPE held_bytes gauge
held_bytes 0
# HELP took How long it took.
# TYPE took histogram
took_sum 0.1
took_count 1
took_bucket{le=\"0.5\"} 1
took_bucket{le=\"+Inf\"} 1
# HELP build_info Which.
# TYPE build_info gauge
build_info{version=\"1\"} 1
";
    assert_eq!(text, expected);
}

/// spec: R-FIG-3
#[test]
fn open_metrics_is_left_as_it_is_and_ends() {
    let text = Format::OpenMetrics.write(&registry()).unwrap();
    assert!(text.contains("# TYPE done counter\ndone_total 7\n"), "{text}");
    assert!(text.contains("# UNIT held_bytes bytes\n"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

/// spec: R-FIG-3
#[test]
fn the_scraper_chooses() {
    let of = Format::accepted;
    assert_eq!(of(None), Format::Prometheus);
    assert_eq!(of(Some("*/*")), Format::Prometheus);
    assert_eq!(of(Some("text/plain;version=0.0.4")), Format::Prometheus);
    let server = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*";
    assert_eq!(of(Some(server)), Format::OpenMetrics);
    assert_eq!(of(Some("text/plain, Application/OpenMetrics-Text; q=1")), Format::OpenMetrics);
    assert!(Format::Prometheus.content_type().contains("version=0.0.4"));
}
