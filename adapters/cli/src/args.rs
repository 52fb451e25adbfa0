//! The command line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use aqueduct_cli::ticket::Ticket;
use aqueduct_tokio::trace;
use aqueduct_tokio::{Algorithm, Carriers, LegPolicy, NodeId, Payload, TransportConfig};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::exit::HELP;
use crate::units::{parse_rate, parse_size};

/// Sends files from one machine to another: encrypted, checked, straight between the two.
#[derive(Debug, Parser)]
#[command(name = "aqueduct", version, about, after_help = HELP, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// For all commands.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Common {
    /// One JSON object a line on stdout, and nothing else there; the last is a result or an error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The file with this node's key [default: ~/.config/aqueduct/key, made when first needed]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Tell more on stderr; twice or thrice for still more (RUST_LOG decides if it is set)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Seconds of silence after which the other side counts as gone; half of them (5 at least)
    /// where it owes an answer
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10")]
    #[arg(value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Reach others, and be reached, by UDP alone [default: UDP, and TCP on the same port where UDP
    /// does not get through]
    #[arg(long, global = true)]
    pub(crate) udp: bool,
    /// Reach others, and be reached, by TCP alone (with --udp: by both)
    #[arg(long, global = true)]
    pub(crate) tcp: bool,
    /// Send by this congestion controller: newreno, cubic, bbr, weir or ledbat [default: cubic]
    #[arg(long, global = true, value_name = "NAME", value_parser = controller)]
    pub(crate) cc: Option<Algorithm>,
    /// Send only what nobody else has a use for, by LEDBAT++: as --cc ledbat
    #[arg(long, global = true, conflicts_with = "cc")]
    pub(crate) background: bool,
    /// Send and take no larger datagrams than this, in bytes, 1200 at least [default: 1452, and on
    /// loopback 65507]
    #[arg(long, global = true, value_name = "BYTES", value_parser = packet_size)]
    pub(crate) max_packet: Option<u16>,
    /// Serve figures for Prometheus at http://ADDR/metrics while this runs (IP:PORT, or a port of
    /// the loopback address)
    #[arg(long, global = true, value_name = "ADDR", value_parser = metrics_addr)]
    pub(crate) metrics: Option<SocketAddr>,
    /// Record all that this node is given and says into FILE, for `aqueduct trace`; the file holds
    /// this node's key (see --trace-payload). `sim run` records each of its nodes: FILE.0, FILE.1
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// What of the payload --trace keeps: all, so that the file alone can be run again; not what is
    /// sent from here (`referenced`: a fraction of the size, and all but its bytes can still be
    /// seen); or none, and no key either (`elided`: to be looked at only)
    #[arg(long, global = true, value_enum, value_name = "WHAT", default_value_t)]
    #[arg(requires = "trace")]
    pub(crate) trace_payload: Kept,
}

impl Common {
    /// By what congestion controller this node sends.
    fn controller(&self) -> Algorithm {
        let background = self.background.then_some(Algorithm::Ledbat);
        background.or(self.cc).unwrap_or_default()
    }

    /// How this node's connections begin, as far as all commands have a say in it.
    pub(crate) fn transport(&self) -> TransportConfig {
        let transport = TransportConfig::default().with_controller(self.controller());
        match self.max_packet {
            Some(bytes) => transport.clone().with_max_packet_size(bytes).unwrap_or(transport),
            None => transport,
        }
    }

    /// By what others are reached; `unsaid` if neither is asked for.
    pub(crate) fn carriers(&self, unsaid: Carriers) -> Carriers {
        match (self.udp, self.tcp) {
            (false, false) => unsaid,
            (true, false) => Carriers::udp(),
            (false, true) => Carriers::tcp(),
            (true, true) => Carriers::both().insisting(),
        }
    }
}

/// What of the payload is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kept {
    /// All of it
    #[default]
    Full,
    /// Not what is sent from here
    Referenced,
    /// None, and no key
    Elided,
}

impl From<Kept> for Payload {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Full => Self::Full,
            Kept::Referenced => Self::Referenced,
            Kept::Elided => Self::Elided,
        }
    }
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show this node's id; its key is made if there is none
    #[command(after_help = HELP)]
    Id,
    /// Wait for files and tell the other side how to send them
    #[command(after_help = HELP)]
    Recv(Recv),
    /// Send files and folders to whoever printed the ticket
    #[command(after_help = HELP)]
    #[command(override_usage = "aqueduct send [OPTIONS] <FILE>... <TICKET>\n       \
        aqueduct send [OPTIONS] --via <TICKET>[,<TICKET>...] <FILE>... <TICKET>...")]
    Send(Send),
    /// Pass streams on to where their senders want them (see `send --via`)
    #[command(after_help = HELP)]
    Relay(Relay),
    /// Measure the way to whoever printed the ticket
    #[command(after_help = HELP)]
    Ping(Ping),
    /// Send generated data through a relay to two receivers, all in this process, and show how
    /// that went at every hop
    #[command(after_help = HELP)]
    Demo(Demo),
    /// Run again, show, draw, convert or redact what was recorded with --trace
    #[command(subcommand)]
    Trace(Trace),
    /// Run the protocol in virtual worlds, without a socket: named scenarios, and random ones
    #[command(after_help = HELP)]
    Sim(Sim),
}

/// `aqueduct trace`.
#[derive(Debug, Subcommand)]
pub(crate) enum Trace {
    /// Run what was recorded again, and tell where it first comes out differently (exit code 6)
    #[command(after_help = HELP)]
    Replay(Replay),
    /// Show what was recorded, a line a record: number, seconds, what it was
    #[command(after_help = HELP)]
    Show(Show),
    /// Write the same without keys and payload: it can be shown and given away, not replayed
    #[command(after_help = HELP)]
    Redact(Redact),
    /// Draw it: one HTML page that asks for nothing outside itself, with packets, windows, round
    /// trips, hops and streams over time
    #[command(after_help = HELP)]
    Report(Picture),
    /// Write it for other tools: qlog, Perfetto (Chrome's trace events) or Wireshark (pcapng)
    #[command(after_help = HELP)]
    Export(Export),
}

/// `aqueduct trace replay`.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// What --trace wrote
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// `aqueduct trace show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// What --trace wrote, or what was redacted
    pub(crate) file: PathBuf,
    /// Only these: carrier, received, sent, event, call, wait
    #[arg(long, value_name = "TOPIC", value_delimiter = ',', value_parser = topic)]
    pub(crate) topic: Vec<Topic>,
    /// Only of the connection with this number (what stands before the dot)
    #[arg(long, value_name = "N")]
    pub(crate) connection: Option<u32>,
    /// Only of the stream with this id
    #[arg(long, value_name = "ID")]
    pub(crate) stream: Option<u64>,
    /// Only from this second on
    #[arg(long, value_name = "SECONDS")]
    pub(crate) from: Option<f64>,
    /// Only up to this second
    #[arg(long, value_name = "SECONDS")]
    pub(crate) until: Option<f64>,
}

/// `aqueduct trace redact`.
#[derive(Debug, Args)]
pub(crate) struct Redact {
    /// What --trace wrote
    pub(crate) file: PathBuf,
    /// Where the redacted one goes; nothing is overwritten
    #[arg(short, long, value_name = "OUT")]
    pub(crate) out: PathBuf,
}

/// `aqueduct trace report`.
#[derive(Debug, Args)]
pub(crate) struct Picture {
    /// What --trace wrote, or what was redacted; several nodes that met share a page
    #[arg(required = true, num_args = 1..=aqueduct_trace::MAX_NODES, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where the page goes; nothing is overwritten
    #[arg(short, long, value_name = "OUT")]
    pub(crate) out: PathBuf,
}

/// `aqueduct trace export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// What --trace wrote, or what was redacted
    pub(crate) file: PathBuf,
    /// For which tool
    #[arg(long, value_enum)]
    pub(crate) format: Format,
    /// Where it goes; nothing is overwritten
    #[arg(short, long, value_name = "OUT")]
    pub(crate) out: PathBuf,
}

/// What a tape is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// qlog events as JSON text sequences (.sqlog)
    Qlog,
    /// Chrome's trace events, for Perfetto (.json)
    Chrome,
    /// Datagrams with comments, for Wireshark (.pcapng)
    Pcapng,
}

/// What kind of records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic(pub(crate) trace::Topic);

fn topic(text: &str) -> Result<Topic, String> {
    let known = trace::Topic::ALL.iter().find(|(name, _)| *name == text);
    let names = || trace::Topic::ALL.map(|(name, _)| name).join(", ");
    known.map(|(_, topic)| Topic(*topic)).ok_or_else(|| format!("one of {}", names()))
}

/// `aqueduct recv`.
#[derive(Debug, Args)]
pub(crate) struct Recv {
    /// Listen on this address (IP:PORT, a port alone, or an IP alone) [default: all, any port]
    #[arg(long, value_name = "ADDR", value_parser = listen_addr)]
    pub(crate) listen: Option<SocketAddr>,
    /// Put files into this folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// End after one transfer
    #[arg(long)]
    pub(crate) once: bool,
    /// Accept from everybody, without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Accept from this node without asking, and from no other; may be given again
    #[arg(long, value_name = "ID", conflicts_with = "yes")]
    pub(crate) allow: Vec<NodeId>,
    /// Replace files that have the same name
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Take at most so much a second, as 10MB, 1MiB or 100Mbit
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) limit: Option<u64>,
}

/// `aqueduct send`.
#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Files and folders, or - for standard input; then what `aqueduct recv` printed: one ticket,
    /// or several behind a relay
    #[arg(required = true, num_args = 1.., value_names = ["FILE", "TICKET"])]
    pub(crate) words: Vec<PathBuf>,
    /// Send through these relays, in this order: what `aqueduct relay` printed
    #[arg(long, value_name = "TICKET", value_delimiter = ',', value_parser = ticket)]
    pub(crate) via: Vec<Ticket>,
    /// Dial this address in place of the ticket's; may be given again
    #[arg(long, value_name = "ADDR")]
    pub(crate) addr: Vec<SocketAddr>,
    /// What standard input is to be called at the other side
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Send at most so much a second, as 10MB, 1MiB or 100Mbit: of datagrams, with what is sent
    /// again
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) limit: Option<u64>,
}

impl Send {
    /// The words apart: files first, tickets behind them.
    ///
    /// # Errors
    /// A usage in words.
    pub(crate) fn split(&self) -> Result<(Vec<PathBuf>, Vec<Ticket>), String> {
        let is_ticket =
            |word: &&PathBuf| word.to_str().is_some_and(|text| text.trim().starts_with("aq1"));
        let tickets = self.words.iter().rev().take_while(is_ticket).count();
        // The first word is a file, whatever it is called.
        let files = (self.words.len() - tickets).max(1);
        let (files, tickets) = self.words.split_at(files);
        let tickets: Vec<_> = tickets
            .iter()
            .map(|word| ticket(&word.to_string_lossy()))
            .collect::<Result<_, _>>()
            .map_err(|error| format!("invalid ticket: {error}"))?;
        match (tickets.len(), self.via.is_empty()) {
            (0, _) => {
                let last = self.words.last().map(|word| word.to_string_lossy().into_owned());
                let last = last.unwrap_or_default();
                Err(match ticket(&last) {
                    Ok(_) => "a ticket, and no file is named before it".to_owned(),
                    Err(error) => format!("the last word is no ticket (`{last}`): {error}"),
                })
            }
            (1, _) | (_, false) => Ok((files.to_vec(), tickets)),
            (n, true) => Err(format!(
                "{n} tickets: several receivers are reached through a relay (--via TICKET)"
            )),
        }
    }
}

/// `aqueduct relay`.
#[derive(Debug, Args)]
pub(crate) struct Relay {
    /// Listen on this address (IP:PORT, a port alone, or an IP alone) [default: all, any port]
    #[arg(long, value_name = "ADDR", value_parser = listen_addr)]
    pub(crate) listen: Option<SocketAddr>,
    /// Relay for this node; may be given again
    #[arg(long, value_name = "ID", required_unless_present = "everybody")]
    pub(crate) allow: Vec<NodeId>,
    /// Relay for whoever comes
    #[arg(long, conflicts_with = "allow")]
    pub(crate) everybody: bool,
    /// Relay at most so much a second for each node, answers included, as 10MB, 1MiB or 100Mbit
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) limit: Option<u64>,
    /// Relay at most so many streams of a node at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_streams: u32,
    /// Relay at most so much for each node in all, answers included, as 10GB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) max_bytes: Option<u64>,
    /// What a receiver that is slower than others gets: the source waits for it, or it is given up
    /// and asks for the rest of what is kept (see --keep)
    #[arg(long, value_enum, default_value_t)]
    pub(crate) policy: Policy,
    /// Keep the last so much of every stream in memory for receivers that were given up, as 32MB
    /// and as far as the 64MiB of a stream's window have room beside what flows; `aqueduct recv`
    /// asks for it by itself
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "0")]
    pub(crate) keep: u64,
    /// End a stream of which nothing moved for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "120")]
    pub(crate) patience: Duration,
}

/// What becomes of a receiver that is slower than others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    /// The source waits for it
    #[default]
    Stall,
    /// It is given up, and the others go on
    Detach,
}

impl From<Policy> for LegPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Stall => Self::Stall,
            Policy::Detach => Self::DETACH,
        }
    }
}

/// `aqueduct ping`.
#[derive(Debug, Args)]
pub(crate) struct Ping {
    /// What `aqueduct recv` printed
    #[arg(value_parser = ticket)]
    pub(crate) ticket: Ticket,
    /// Dial this address in place of the ticket's; may be given again
    #[arg(long, value_name = "ADDR")]
    pub(crate) addr: Vec<SocketAddr>,
    /// How many pings
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// Milliseconds between them
    #[arg(long, value_name = "MS", default_value_t = 200)]
    pub(crate) interval: u64,
}

/// `aqueduct demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Relays between the sender and the receivers, in a row; 0: none
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<0, 16>)]
    #[arg(allow_hyphen_values = true)]
    pub(crate) hops: u8,
    /// Receivers behind the last relay, together with the relays at most 17 [default: 2; without a
    /// relay 1]
    #[arg(long, value_name = "N", value_parser = whole::<1, 16>)]
    #[arg(allow_hyphen_values = true)]
    pub(crate) fan_out: Option<u8>,
    /// Lose so many of a hundred datagrams on every link, in both directions; at most 50
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = loss)]
    #[arg(allow_hyphen_values = true)]
    pub(crate) loss: Loss,
    /// How much to send, as 10MB or 1GiB; less than 4EiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = body_size)]
    #[arg(allow_hyphen_values = true)]
    pub(crate) size: u64,
    /// Let the sender send at most so much a second, as 10MB, 1MiB or 100Mbit
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub(crate) limit: Option<u64>,
}

/// `aqueduct sim`.
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// What of it.
    #[command(subcommand)]
    pub(crate) command: SimCommand,
}

/// What there is to simulate.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Show the scenarios
    List,
    /// Play a scenario twice, and compare: the same seed gives the same run
    Run(SimRun),
    /// Play random worlds until the time is over or many have failed
    Swarm(SimSwarm),
}

/// `aqueduct sim run`.
#[derive(Debug, Args)]
pub(crate) struct SimRun {
    /// Its name, as `sim list` shows it; `world` for a random world, `all` for every one
    pub(crate) scenario: String,
    /// What all chance in it comes from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// `aqueduct sim swarm`.
#[derive(Debug, Args)]
pub(crate) struct SimSwarm {
    /// For so long
    #[arg(long, value_name = "N", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// So many worlds at a time
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,
    /// The first seed; the others follow it [default: from the time]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Play every so many worlds one twice, the second time recorded, and compare; its tapes are
    /// replayed. 0: none, 1: each
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) twice_every: u64,
}

/// Datagrams that are lost, of a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss(pub(crate) u32);

fn loss(text: &str) -> Result<Loss, String> {
    const LEAST: f64 = 0.0001;
    let number = text.trim().trim_end_matches('%');
    let possible = "0, or between 0.0001 and 50 percent, as 1 or 0.5%";
    match number.parse::<f64>() {
        Ok(percent) if percent == 0.0 || (LEAST..=50.0).contains(&percent) => {
            Ok(Loss((percent * 10_000.0).round() as u32))
        }
        Ok(_) => Err(possible.to_owned()),
        Err(_) => Err(format!("`{text}` is no percentage: it takes {possible}")),
    }
}

/// A whole number between two others.
fn whole<const LEAST: u8, const MOST: u8>(text: &str) -> Result<u8, String> {
    let number = text.trim().parse().ok().filter(|number| (LEAST..=MOST).contains(number));
    number.ok_or_else(|| format!("it takes a whole number from {LEAST} to {MOST}"))
}

/// What a stream can carry.
fn body_size(text: &str) -> Result<u64, String> {
    const MOST: u64 = (1 << 62) - 1;
    let size = parse_size(text).map_err(|error| format!("{error}, less than 4EiB"))?;
    let fits = (size <= MOST).then_some(size);
    fits.ok_or_else(|| "a stream has room for less than 4EiB".to_owned())
}

/// A congestion controller by its name.
fn packet_size(text: &str) -> Result<u16, String> {
    let bytes = text.parse().map_err(|_| format!("`{text}` is no number of bytes up to 65507"))?;
    let checked = TransportConfig::default().with_max_packet_size(bytes);
    checked.map(|_| bytes).map_err(|error| error.to_string())
}

fn controller(text: &str) -> Result<Algorithm, String> {
    let names = Algorithm::ALL.map(Algorithm::name).join(", ");
    Algorithm::by_name(text.trim()).ok_or_else(|| format!("it takes one of {names}"))
}

/// Reads a ticket as people paste it: blanks around it are nobody's fault.
fn ticket(text: &str) -> Result<Ticket, String> {
    text.trim().parse::<Ticket>().map_err(|error| error.to_string())
}

fn listen_addr(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        return Ok(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, 0));
    }
    text.parse().map_err(|_| "write an address as 192.0.2.1:4000, [::]:4000 or 4000".to_owned())
}

fn metrics_addr(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    text.parse().map_err(|_| "write an address as 127.0.0.1:9100, [::1]:9100 or 9100".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&time) => {
            Ok(time)
        }
        _ => Err("between 0.1 and 3600 seconds".to_owned()),
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
