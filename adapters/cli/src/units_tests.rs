use std::time::Duration;

use proptest::prelude::*;

use super::*;

#[test]
fn sizes_with_every_suffix() {
    for (text, bytes) in [
        ("0", 0),
        ("17", 17),
        ("17B", 17),
        ("1k", 1000),
        ("1K", 1000),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("10MB", 10_000_000),
        ("10 MiB", 10 << 20),
        ("1.5GiB", 3 << 29),
        ("2GB", 2_000_000_000),
        ("1Ti", 1 << 40),
        ("1TB", 1_000_000_000_000),
        ("1.5PB", 1_500_000_000_000_000),
        ("1PiB", 1 << 50),
        ("2EB", 2_000_000_000_000_000_000),
        ("4EiB", 1 << 62),
        ("8bit", 1),
        ("100Mbit", 12_500_000),
        ("0.5KiB", 512),
        ("256mib", 256 << 20),
        ("1000Kbit", 125_000),
        ("1Gibit", 1 << 27),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
}

#[test]
fn what_is_no_size() {
    for text in [
        "",
        "B",
        "MB",
        "-1",
        "1.",
        ".5",
        "1.2.3",
        "1XB",
        "1e9",
        "12MBs",
        "1 2",
        "∞",
        "18446744073709551616",
        "99999999TB",
        "16EiB",
        "99999999999999999999.999999999EiB",
        "1.0000000001GB",
        "0x10",
        "+5",
    ] {
        assert!(parse_size(text).is_err(), "{text}");
    }
}

#[test]
fn rates_with_and_without_the_second() {
    for (text, bytes) in [
        ("10MB/s", 10_000_000),
        ("10MB", 10_000_000),
        ("80Mbit/s", 10_000_000),
        ("1KiB/S", 1024),
        ("8Mbps", 1_000_000),
    ] {
        assert_eq!(parse_rate(text), Ok(bytes), "{text}");
    }
    for text in ["0", "0MB/s", "7bit", "MB/s", "5/s/s", "fast"] {
        assert!(parse_rate(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_in_words() {
    for (bytes, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1536, "1.50 KiB"),
        (10 << 20, "10.0 MiB"),
        (256 << 20, "256 MiB"),
        (1 << 30, "1.00 GiB"),
        (u64::MAX, "15.9 EiB"),
        (1023 << 10, "1023 KiB"),
    ] {
        assert_eq!(size(bytes), text);
    }
}

#[test]
fn a_rate_over_no_time_is_finite() {
    assert_eq!(rate_of(100, Duration::from_secs(2)), 50);
    assert_eq!(rate_of(u64::MAX, Duration::ZERO), u64::MAX);
}

proptest! {
    #[test]
    fn any_text_is_a_size_or_a_sentence(text: String) {
        let _ = (parse_size(&text), parse_rate(&text));
    }

    #[test]
    fn plain_numbers_are_themselves(bytes: u64) {
        prop_assert_eq!(parse_size(&bytes.to_string()), Ok(bytes));
        let _ = size(bytes);
    }
}
