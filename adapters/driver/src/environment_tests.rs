//! Tests of `environment.rs`.

use super::*;

fn of(pairs: &[(&'static str, &str)]) -> Result<Streaming, EnvironmentError> {
    let look = |variable| {
        let found = pairs.iter().find(|(name, _)| *name == variable);
        found.map(|(_, value)| OsString::from(value))
    };
    overlaid(Streaming::default(), look)
}

/// spec: R-MODE-4
#[test]
fn a_variable_changes_its_setting_and_an_empty_one_changes_nothing() {
    assert_eq!(of(&[]), Ok(Streaming::default()));
    assert_eq!(of(&[("AQUEDUCT_STREAMING", "")]), Ok(Streaming::default()));
    let all = of(&[
        ("AQUEDUCT_STREAMING", "False"),
        ("AQUEDUCT_STREAMING_THRESHOLD", " 1000 "),
        ("AQUEDUCT_PIPED_FORWARDING", "off"),
        ("AQUEDUCT_STREAMING_SHADOW", "1"),
    ]);
    let expected = Streaming {
        streaming_enabled: false,
        streaming_threshold: 1000,
        piped_forwarding: false,
        streaming_shadow: true,
    };
    assert_eq!(all, Ok(expected));
}

/// spec: R-MODE-4
#[test]
fn a_bad_value_names_the_variable_itself_and_what_is_possible() {
    for (variable, value, possible) in [
        ("AQUEDUCT_STREAMING", "yess", SWITCH),
        ("AQUEDUCT_PIPED_FORWARDING", "2", SWITCH),
        ("AQUEDUCT_STREAMING_SHADOW", "-", SWITCH),
        ("AQUEDUCT_STREAMING_THRESHOLD", "64KiB", BYTES),
        ("AQUEDUCT_STREAMING_THRESHOLD", "4611686018427387904", BYTES),
    ] {
        let said = of(&[(variable, value)]).expect_err(value).to_string();
        assert_eq!(said, format!("{variable}={value} cannot be: it takes {possible}"));
    }
}
