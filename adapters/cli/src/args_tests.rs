use aqueduct_tokio::PacketSizes;
use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// Options may stand between the words of `send`, too.
#[test]
fn the_words_of_send_are_found_wherever_its_options_stand() {
    let words = ["one", "-", "aq1x"];
    for at in 0..=words.len() {
        let mut line = vec!["aqueduct", "send"];
        line.extend(&words[..at]);
        line.extend(["--limit", "1MB", "--json"]);
        line.extend(&words[at..]);
        let cli = Cli::try_parse_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let Command::Send(send) = cli.command else { panic!("{line:?}") };
        assert_eq!(send.words, words.map(PathBuf::from), "{line:?}");
        assert_eq!(send.limit, Some(1_000_000));
    }
}

#[test]
fn controllers_by_name() {
    let read = |words: &[&str]| {
        let line = ["aqueduct", "send", "file", "aq1x"].iter().chain(words);
        Cli::try_parse_from(line).map(|cli| cli.common.transport().controller())
    };
    assert_eq!(read(&[]).unwrap(), Algorithm::default());
    assert_eq!(read(&["--background"]).unwrap(), Algorithm::Ledbat);
    for algorithm in Algorithm::ALL {
        assert_eq!(read(&["--cc", algorithm.name()]).unwrap(), algorithm);
    }
    assert!(read(&["--cc", "vegas"]).is_err());
    assert!(read(&["--cc", "bbr", "--background"]).is_err());
}

#[test]
fn sizes_of_datagrams() {
    let read = |words: &[&str]| {
        let line = ["aqueduct", "send", "file", "aq1x"].iter().chain(words);
        Cli::try_parse_from(line).map(|cli| cli.common.transport().packet_sizes())
    };
    assert_eq!(read(&[]).unwrap(), PacketSizes::default());
    let small = PacketSizes { network: 1_300, loopback: 1_300 };
    assert_eq!(read(&["--max-packet", "1300"]).unwrap(), small);
    for (wrong, said) in [
        ("1199", "max_packet_size = 1199 is out of range: 1200 to 65507"),
        ("65508", "max_packet_size = 65508 is out of range: 1200 to 65507"),
        ("70000", "`70000` is no number of bytes up to 65507"),
        ("small", "`small` is no number of bytes up to 65507"),
    ] {
        let error = read(&["--max-packet", wrong]).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
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
    for (text, of_a_million) in [("0", 0), ("1", 10_000), ("0.5%", 5_000), ("50", 500_000)]
        .into_iter()
        .chain([("0.0001", 1), ("0.00029", 3), (" 2 ", 20_000)])
    {
        assert_eq!(loss(text), Ok(Loss(of_a_million)), "{text}");
    }
    for text in ["", "-1", "50.1", "100", "nan", "inf", "one", "0.00009", "1e-9"] {
        assert!(loss(text).is_err(), "{text}");
    }
}

#[test]
fn whole_numbers_between_others() {
    assert_eq!((whole::<0, 16>("0"), whole::<1, 16>(" 16 ")), (Ok(0), Ok(16)));
    for text in ["", "0", "17", "1000", "-1", "x", "1.5", "0x1"] {
        let words = "it takes a whole number from 1 to 16".to_owned();
        assert_eq!(whole::<1, 16>(text), Err(words), "{text}");
    }
}

#[test]
fn what_a_stream_can_carry() {
    assert_eq!((body_size("0"), body_size("1TiB")), (Ok(0), Ok(1 << 40)));
    assert_eq!(body_size("4611686018427387903"), Ok((1 << 62) - 1));
    for text in ["4EiB", "4611686018427387904", "18446744073709551615", "-1", "banana"] {
        assert!(body_size(text).unwrap_err().contains("less than 4EiB"), "{text}");
    }
}

#[test]
fn seconds_of_patience() {
    assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
    for text in ["0", "-1", "nan", "inf", "1e9", "x"] {
        assert!(seconds(text).is_err(), "{text}");
    }
}
