//! Figures as Prometheus and Grafana have them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Place, Running};

/// What a server said to `request`: its head and its body.
fn ask(addr: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n").unwrap();
    write!(stream, "Accept: text/plain;version=0.0.4\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    let (head, body) = said.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

/// One scrape.
pub(crate) struct Scrape {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    pub(crate) fn of(node: &mut Running) -> Self {
        let addr = node.wait_for("metrics")["addr"].as_str().unwrap().to_owned();
        let (head, text) = ask(&addr, "GET /metrics");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        };
        let samples = lines.map(sample).collect();
        Self { text, samples }
    }

    #[track_caller]
    pub(crate) fn get(&self, sample: &str) -> u64 {
        let name = format!("aqueduct_{sample}");
        let value = self.samples.get(&name);
        *value.unwrap_or_else(|| panic!("no {name} in {}", self.text)) as u64
    }

    /// Names without labels.
    fn names(&self) -> BTreeSet<&str> {
        self.samples.keys().map(|name| name.split('{').next().unwrap()).collect()
    }

    /// Scrapes until it finds what it wants: what ends well is counted a moment later.
    fn until(node: &mut Running, done: impl Fn(&Self) -> bool) -> Self {
        let begun = Instant::now();
        loop {
            let scrape = Self::of(node);
            if done(&scrape) || begun.elapsed() > Duration::from_secs(20) {
                return scrape;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Runs `promtool` with `input`, if there is one; else says aloud that there is none.
fn promtool(args: &[&str], input: &str) {
    let tool = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        println!("SAID ALOUD: no promtool here: `promtool {}` was not run", args.join(" "));
        return;
    };
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = tool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "promtool {}: {words}", args.join(" "));
}

fn dashboards() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/dashboards")
}

/// The dashboard's expressions, with what Grafana would fill in.
fn expressions() -> Vec<String> {
    let text = std::fs::read_to_string(dashboards().join("aqueduct.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let filled = targets.map(|target| {
        let expression = target["expr"].as_str().unwrap();
        expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
    });
    filled.collect()
}

/// What an expression asks for.
fn metrics_of(expression: &str) -> BTreeSet<&str> {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    expression.split(|c| !name(c)).filter(|word| word.starts_with("aqueduct_")).collect()
}

/// spec: R-FIG-8
#[test]
fn a_file_on_its_way_is_told_of_by_everybody() {
    let places: [Place; 3] = std::array::from_fn(|_| Place::new());
    let [source, between, sink] = &places;
    let mut relaying = between.command(&["relay", "--json", "--everybody", "--metrics", "0"]);
    relaying.args(["--listen", "127.0.0.1"]);
    let mut relay = Running::listening(relaying);
    let mut recv = sink.recv(&["--yes", "--metrics", "127.0.0.1:0"]);
    let len = 3_000_000;
    let file = source.file("film", len);
    let more = ["--via", &relay.ticket(), "--metrics", "0"];
    let sent = source.send(&[&file], &recv, &more).expect(0);
    assert!(sent.events().iter().any(|event| event["event"] == "metrics"), "{sent:?}");

    let passed = Scrape::until(&mut relay, |now| now.get("piped_streams_active") == 0);
    // There, and the answer back.
    assert_eq!(passed.get("piped_streams_total"), 2);
    assert!(passed.get("piped_bytes_total") >= len as u64);
    assert!(passed.get("piped_buffer_bytes_max") > 0);
    assert_eq!(passed.get("piped_buffer_bytes"), 0);
    assert_eq!(passed.get("handshakes_total{state=\"established\"}"), 2);
    let received = passed.get("udp_bytes_total{direction=\"received\"}");
    assert!(received >= len as u64 && received < 2 * len as u64, "{received}");
    assert!(passed.get("streaming_buffer_bytes_max") >= passed.get("piped_buffer_bytes_max"));

    let taken = Scrape::of(&mut recv);
    assert!(taken.get("packets_received_total") >= len as u64 / 65_507);
    assert!(taken.get("packets_sent_total") > 0);
    assert_eq!(taken.get("piped_streams_total"), 0);
    assert_eq!(taken.get("streams_opened_total{by=\"peer\"}"), 1);
    assert_eq!(taken.get("budget_bytes"), 256 << 20);
    assert!(taken.get("held_bytes") <= taken.get("credit_granted_bytes"));
    assert!(taken.get("credit_granted_bytes") <= taken.get("budget_committed_bytes"));
    for scrape in [&passed, &taken] {
        promtool(&["check", "metrics"], &scrape.text);
    }
}

/// spec: R-FIG-8
#[test]
fn there_is_one_page_and_an_address_that_is_taken_is_a_fault_of_this_machine() {
    let place = Place::new();
    let mut recv = place.recv(&["--yes", "--metrics", "0"]);
    let addr = recv.wait_for("metrics")["addr"].as_str().unwrap().to_owned();
    assert!(addr.starts_with("127.0.0.1:"), "a port alone is one of loopback: {addr}");
    for other in ["GET /", "GET /metrics/", "GET /../etc/passwd", "POST /metrics", "HEAD /metrics"]
    {
        let (head, _) = ask(&addr, other);
        assert!(head.starts_with("HTTP/1.1 404 "), "{other}: {head}");
    }
    assert!(ask(&addr, "GET /metrics?name=what").0.starts_with("HTTP/1.1 200 "));
    for verb in [&["recv", "--yes"][..], &["relay", "--everybody"], &["demo", "--size", "1kB"]] {
        let mut args = vec!["--json", "--metrics", &addr];
        args.extend(verb);
        let ended = place.run(&args).expect(7);
        assert!(ended.message().contains(&addr), "{ended:?}");
    }
    let ended = place.run(&["ping", "--json", "--metrics", &addr, &recv.ticket()]).expect(7);
    assert!(ended.message().contains("in use"), "{ended:?}");
    place.run(&["id", "--json", "--metrics", "0"]).expect(2);
    place.run(&["recv", "--json", "--metrics", "here"]).expect(2);
    let heard = place.run(&["ping", "--json", "--metrics", "0", "--count", "1", &recv.ticket()]);
    assert_eq!(heard.expect(0).events()[0]["event"], "metrics");
}

/// A scraper that says nothing, and more of them than are served, keep nothing from anybody.
///
/// spec: R-FIG-8
#[test]
fn whoever_holds_the_page_open_hinders_no_transfer() {
    let place = Place::new();
    let mut recv = place.recv(&["--yes", "--once", "--metrics", "0"]);
    let addr = recv.wait_for("metrics")["addr"].as_str().unwrap().to_owned();
    let _silent: Vec<_> = (0..40).map(|_| TcpStream::connect(&addr).unwrap()).collect();
    let file = place.file("letter", 1234);
    place.send(&[&file], &recv, &[]).expect(0);
    recv.end().expect(0);
}

/// spec: R-FIG-10
#[test]
fn the_dashboard_asks_for_what_is_there_and_its_rules_are_its_expressions() {
    let place = Place::new();
    let mut recv = place.recv(&["--yes", "--metrics", "0"]);
    let scrape = Scrape::of(&mut recv);
    let (there, asked) = (scrape.names(), expressions());
    let mut used = BTreeSet::new();
    for expression in &asked {
        let metrics = metrics_of(expression);
        assert!(!metrics.is_empty(), "asks for nothing: {expression}");
        used.extend(metrics);
    }
    for name in &used {
        assert!(there.contains(name), "the dashboard asks for {name}, which is not exposed");
    }
    let family = |name: &str| {
        ["_bucket", "_sum", "_count"].iter().fold(name.to_owned(), |name, end| {
            name.strip_suffix(end).map_or(name.clone(), ToOwned::to_owned)
        })
    };
    let shown: BTreeSet<_> = used.iter().map(|name| family(name)).collect();
    for name in there.iter().map(|name| family(name)) {
        assert!(shown.contains(&name), "{name} is exposed and on no panel");
    }

    let rules = std::fs::read_to_string(dashboards().join("aqueduct.rules.yml")).unwrap();
    let recorded = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let recorded: BTreeSet<_> = recorded.map(str::to_owned).collect();
    assert_eq!(recorded, asked.into_iter().collect());
    let path = dashboards().join("aqueduct.rules.yml");
    promtool(&["check", "rules", path.to_str().unwrap()], "");
}
