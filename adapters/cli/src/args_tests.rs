use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn addresses_to_listen_on() {
    for (text, addr) in [
        ("4000", "[::]:4000"),
        (":4000", "[::]:4000"),
        ("127.0.0.1", "127.0.0.1:0"),
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("::1", "[::1]:0"),
        ("[::1]:7", "[::1]:7"),
        ("0.0.0.0:0", "0.0.0.0:0"),
    ] {
        assert_eq!(listen_addr(text), Ok(addr.parse().unwrap()), "{text}");
    }
    for text in ["", "70000", "localhost:1", "1.2.3:4"] {
        assert!(listen_addr(text).is_err(), "{text}");
    }
}

#[test]
fn losses_of_a_link() {
    for (text, of_a_million) in [("0", 0), ("1", 10_000), ("0.5%", 5_000), ("50", 500_000)] {
        assert_eq!(loss(text), Ok(Loss(of_a_million)), "{text}");
    }
    for text in ["", "-1", "51", "nan", "inf", "one"] {
        assert!(loss(text).is_err(), "{text}");
    }
}

#[test]
fn seconds_of_patience() {
    assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
    for text in ["0", "-1", "nan", "inf", "1e9", "x"] {
        assert!(seconds(text).is_err(), "{text}");
    }
}
