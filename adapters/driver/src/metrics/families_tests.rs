use std::collections::BTreeSet;

use super::{FAMILIES, Figures, LATENCY, MetricType, Number, StreamCode, error_type};

/// Exposed names, kinds and meanings.
fn exposed() -> BTreeSet<(String, &'static str, &'static str)> {
    let families = FAMILIES.iter().map(|family| {
        let suffix = if matches!(family.kind, MetricType::Counter) { "_total" } else { "" };
        (format!("{}{suffix}", family.name), family.kind.as_str(), family.help)
    });
    families.chain([(LATENCY.name.to_owned(), LATENCY.kind.as_str(), LATENCY.help)]).collect()
}

/// spec: R-FIG-1
#[test]
fn the_chapter_names_what_is_exposed_and_nothing_else() {
    let chapter = include_str!("../../../../spec/20-figures.md");
    let rows = chapter.lines().filter_map(|line| line.trim().strip_prefix("| `aqueduct_"));
    let told: BTreeSet<_> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            (format!("aqueduct_{}", cells[0].trim_end_matches('`')), cells[1], cells[3])
        })
        .collect();
    assert_eq!(told, exposed());
}

/// spec: R-FIG-2
#[test]
fn names_are_in_base_units_and_labels_are_few() {
    let mut samples = 0;
    for family in FAMILIES {
        let name = family.name;
        assert!(name.starts_with("aqueduct_") && !name.ends_with("_total"), "{name}");
        assert!(!["_ms", "_us", "_millis", "_kb"].iter().any(|unit| name.contains(unit)), "{name}");
        let found = (family.samples)(&Figures::default());
        assert!(!found.is_empty(), "{name} says nothing");
        let labels: BTreeSet<_> = found.iter().map(|(labels, _)| *labels).collect();
        assert_eq!(labels.len(), found.len(), "{name}: two samples of the same labels");
        samples += found.len();
    }
    assert!(samples < 120, "{samples} samples of an endpoint");
}

#[test]
fn each_code_of_the_protocol_is_a_type_of_error() {
    let types: BTreeSet<_> = StreamCode::ALL.into_iter().filter_map(error_type).collect();
    assert_eq!(types.len(), StreamCode::ALL.len());
}

/// The samples of a family that are not 0, by their only label.
fn told(name: &str, figures: &Figures) -> Vec<(&'static str, u64)> {
    let family = FAMILIES.iter().find(|family| family.name == name).expect("a family");
    let samples = (family.samples)(figures).into_iter().map(|(labels, value)| match value {
        Number(number) => (labels[0].1, number),
        other => panic!("{other:?}"),
    });
    samples.filter(|(_, number)| *number > 0).collect()
}

/// spec: R-FIG-11
#[test]
fn what_pipes_gave_up_is_told_by_why() {
    let mut figures = Figures::default();
    figures.endpoint.pipes_timed_out = 1;
    figures.endpoint.pipes_refused = 2;
    figures.endpoint.legs_detached = 3;
    let why = told("aqueduct_piped_errors", &figures);
    assert_eq!(why, [("timeout", 1), ("refused", 2), ("detached", 3)]);
}

/// What a peer found is counted with what the core saw, by the reset that it ended with.
///
/// spec: R-FIG-5
#[test]
fn wrong_digests_are_errors_wherever_they_were_found() {
    let mut figures = Figures::default();
    figures.messages.verification_failures = 1;
    figures.messages.refuted = 10;
    figures.messages.bodies_damaged = 100;
    assert_eq!(told("aqueduct_streaming_errors", &figures), [("verification_failed", 101)]);
}

/// spec: R-MODE-12
#[test]
fn a_mismatch_of_shadow_mode_is_told_of() {
    let mut figures = Figures::default();
    figures.messages.streaming_mismatches_total = 3;
    let family = FAMILIES.iter().find(|family| family.name == "aqueduct_streaming_mismatches");
    let samples = (family.unwrap().samples)(&figures);
    assert!(matches!(samples[..], [(&[], Number(3))]), "{samples:?}");
}
