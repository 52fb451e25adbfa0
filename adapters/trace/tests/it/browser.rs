//! The page in a browser, where there is one: it draws, without an error and without a request to
//! anybody.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aqueduct_core::tape::Payload;
use aqueduct_core::trace;
use aqueduct_tests::tapes::small;
use aqueduct_trace::{report, report_all};

use crate::support::{bulk, chain, crowded};

/// On a busy machine a browser begins slowly.
const PATIENCE: Duration = Duration::from_secs(240);

/// A Chromium: as the environment says, on the path, or where Playwright keeps its own.
fn browser() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("AQUEDUCT_BROWSER") {
        return Some(named.into());
    }
    let names =
        ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    places.find(|file| file.is_file()).or_else(|| {
        let cache = PathBuf::from(std::env::var_os("HOME")?).join(".cache/ms-playwright");
        let found = fs::read_dir(cache).ok()?.flatten().flat_map(|entry| {
            let folder = entry.path().join("chrome-linux");
            [folder.join("headless_shell"), folder.join("chrome")]
        });
        found.into_iter().find(|file| file.is_file())
    })
}

/// What a page became.
struct Seen {
    dom: String,
    log: String,
    /// Addresses that the page asked for.
    asked: Vec<String>,
}

/// Opens a page; `None` without a browser.
fn open(page: &str) -> Option<Seen> {
    let Some(browser) = browser() else {
        println!("SAID ALOUD: no Chromium here; the page was not opened");
        return None;
    };
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(at("page.html"), page).unwrap();
    let file = |name: &str| fs::File::create(at(name)).unwrap();
    let child = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--no-first-run"])
        .args(["--window-size=1360,1800", "--virtual-time-budget=8000", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", at("profile").display()))
        .arg(format!("--log-net-log={}", at("net.json").display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", at("page.html").display()))
        .stdin(Stdio::null())
        .stdout(file("dom"))
        .stderr(file("log"))
        .spawn()
        .expect("the browser starts");
    wait(child);
    let text =
        |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let asked = requests(&text(&at("net.json")));
    Some(Seen { dom: text(&at("dom")), log: text(&at("log")), asked })
}

/// What a log of the network says that the page asked for, to whomever: each request names who began
/// it, and what the browser asks for of itself has no origin.
fn requests(log: &str) -> Vec<String> {
    let begun = log.split(r#""initiator":""#).skip(1).filter_map(|request| {
        let (initiator, rest) = request.split_once('"')?;
        let url = rest.split(r#""url":""#).nth(1)?.split('"').next()?;
        (initiator != "not an origin").then(|| url.to_owned())
    });
    begun.filter(|url| !url.starts_with("file:")).collect()
}

fn wait(mut child: Child) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("the browser does not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// It drew, and nothing went wrong.
fn fine(seen: &Seen) {
    let head: String = seen.dom.chars().take(300).collect();
    assert!(head.contains(r#"data-ready="yes""#), "{head}\n{}", seen.log);
    assert!(head.contains(r#"data-errors="0""#), "{head}\n{}", seen.log);
    assert!(!seen.log.contains("CONSOLE"), "{}", seen.log);
    assert_eq!(seen.asked, Vec::<String>::new());
}

/// What a reader does: looks at another stream, zooms, filters, asks for what is under the hand.
const HAND: &str = include_str!("hand.js");

/// spec: R-RPT-4 R-RPT-5
#[test]
fn the_page_draws_and_follows_the_hand() {
    let tape = &bulk(Payload::Full)[0];
    let page = report(tape, "bulk <b>").unwrap().page;
    // Frames come by the timer: the browser's time runs ahead of its frames here.
    let timed = "<body><script>requestAnimationFrame = (draw) => setTimeout(draw, 16)</script>";
    let page = page.replacen("<body>", timed, 1);
    let Some(seen) = open(&page.replace("</body>", &format!("<script>{HAND}</script></body>")))
    else {
        return;
    };
    fine(&seen);
    let said = seen.dom.split(r#"<pre id="said">"#).nth(1).expect("the hand is done");
    let said = said.split("</pre>").next().unwrap();
    println!("{said}");
    let word = |name: &str| {
        let found = said.split('|').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("{name} of {said}"))
    };
    assert_ne!(word("range0"), word("range1"), "keys zoom");
    let count = |name: &str| word(name).split(' ').next().unwrap().replace(',', "");
    let lost: usize = count("lost").parse().unwrap();
    assert_eq!(lost, crate::support::losses(&crate::support::views(tape)));
    assert!(count("zoomed").parse::<usize>().unwrap() > 0);
    assert!(word("axis").starts_with("offset in"), "{said}");
    assert_eq!(word("theme"), "dark");
    assert!(seen.dom.contains("bulk &lt;b&gt;"), "a name is text");
}

/// spec: R-RPT-4 R-RPT-13
#[test]
fn a_page_of_several_nodes_draws_their_streams_hop_by_hop() {
    let [source, relay, sink] = chain();
    let nodes = [(&source[..], "the source"), (&relay, "the relay"), (&sink, "the sink")];
    let Some(seen) = open(&report_all(&nodes).unwrap().page) else { return };
    fine(&seen);
    let rows = seen.dom.split(r#"<table id="ways">"#).nth(1).expect("ways");
    let rows = rows.split("</table>").next().unwrap();
    assert_eq!(rows.matches("<tr").count(), 5, "{rows}");
    for said in ["the source sends", "the relay receives", "the relay sends", "the sink receives"] {
        assert!(rows.contains(said), "{said} of {rows}");
    }
}

/// spec: R-RPT-4 R-RPT-7
#[test]
fn pages_of_which_little_is_known_draw_too() {
    let elided = trace::redact(&small(Payload::Full)[0]).unwrap();
    for tape in [elided, crowded()] {
        let report = report(&tape, "less").unwrap();
        let Some(seen) = open(&report.page) else { return };
        fine(&seen);
        for note in &report.notes {
            let words: String = note.chars().take(40).collect();
            assert!(seen.dom.contains(&words), "{words}");
        }
    }
}

/// The check itself: a page that asks is found out however it asks, also where browsers ask for
/// something of themselves; a blank page asks for nothing.
#[test]
fn who_asks_is_found_out() {
    const WAYS: [&str; 8] = [
        r#"<link rel="stylesheet" href="http://style.google.com/it.css">"#,
        r#"<link rel="prefetch" href="http://prefetch.google.com/it">"#,
        r#"<img src="http://picture.outside.invalid/it.png">"#,
        r#"<iframe src="http://frame.google.com/it"></iframe>"#,
        r#"<script src="http://script.googleapis.com/it.js"></script>"#,
        r#"<script>fetch("http://fetch.google.com/it").catch(() => 0)</script>"#,
        r#"<script>navigator.sendBeacon("http://beacon.google.com/it", "")</script>"#,
        r#"<script>new WebSocket("ws://socket.google.com/it")</script>"#,
    ];
    let page = |body: &str| {
        let head = r#"<!doctype html><html data-ready="yes" data-errors="0"><body>"#;
        open(&format!("{head}{body}</body></html>"))
    };
    let Some(blank) = page("") else { return };
    fine(&blank);
    let seen = page(&format!("{}<script>console.error(1)</script>", WAYS.concat()));
    let seen = seen.expect("there is a browser");
    for way in WAYS {
        let url = way.split('"').find(|part| part.contains("://")).expect("an address");
        assert!(seen.asked.iter().any(|asked| asked.starts_with(url)), "{way}: {:?}", seen.asked);
    }
    assert!(seen.log.contains("CONSOLE"), "{}", seen.log);
}
