//! `aqueduct demo`: sender, relays and receivers in this process, real sockets between them, and
//! what each hop cost.

mod flow;
mod nodes;
mod table;

use aqueduct_tokio::{Carriers, TransportConfig};
use serde_json::json;

use crate::args::{Common, Demo};
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::metrics::Page;
use crate::output::{Fields, Output};

use nodes::Nodes;
use table::{LEGEND, Row};

/// Sends generated data through the relays and shows how that went.
///
/// # Errors
/// A digest differs, or something broke on the way.
pub(super) async fn run(
    options: &Demo,
    common: &Common,
    output: &Output,
    mut interrupt: Interrupt,
) -> Result<Fields, Failure> {
    let receivers = receivers(options)?;
    // What is lost on purpose is lost by UDP, and is not to be fled from.
    let ways = (common.carriers(Carriers::udp()), transport(common, options.loss.0 > 0));
    let mut nodes = Nodes::bind(options.hops.into(), receivers.into(), options.loss.0, ways)?;
    nodes.limit(options.limit);
    let _page = Page::of(common.metrics, nodes.figures(), output).await?;
    let how = interrupt.or(flow::transfer(&mut nodes, options.size)).await;
    let io = nodes.io_stats();
    nodes.close().await;
    let measured = how?;
    let rows = measured.rows(&io);
    if !output.is_json() {
        show(output, &rows);
        output.line("");
        measured.hop_lines().iter().for_each(|line| output.line(line));
        output.line("");
        LEGEND.iter().for_each(|line| output.line(line));
    }
    let mut fields = Fields::new();
    fields.insert("bytes".into(), json!(options.size));
    fields.insert("relays".into(), json!(options.hops));
    fields.insert("receivers".into(), json!(receivers));
    fields.insert("loss_per_million".into(), json!(options.loss.0));
    fields.insert("digest".into(), json!(measured.sent.to_hex().to_string()));
    for row in rows {
        fields.insert(row.key.into(), row.value);
    }
    fields.insert("hops".into(), measured.hops());
    let mut transfer = fields.clone();
    transfer.insert("ok".into(), json!(measured.is_intact()));
    output.event("transfer", transfer.into());
    if !measured.is_intact() {
        return Err(Failure::new(Cause::Integrity, "the digests differ"));
    }
    fields.insert("command".into(), json!("demo"));
    Ok(fields)
}

/// Nodes of a way, the first relay not counted: it is dialled.
const MOST: u8 = 16;

/// How many there are behind the last relay, or behind the sender.
fn receivers(options: &Demo) -> Result<u8, Failure> {
    let wrong = |words: String| Err(Failure::new(Cause::Usage, words));
    let (hops, wanted) = (options.hops, options.fan_out);
    let receivers = wanted.unwrap_or(if hops == 0 { 1 } else { 2 });
    if hops == 0 && receivers > 1 {
        return wrong(format!(
            "--fan-out {receivers} with --hops 0: without a relay there is at most 1 receiver; \
             several are reached through one, so by --hops 1 or more"
        ));
    }
    let (nodes, most) = (hops.saturating_add(receivers), MOST + 1);
    if nodes > most {
        let said = if wanted.is_some() { "" } else { " (its default)" };
        return wrong(format!(
            "--hops {hops} with --fan-out {receivers}{said}: a way has at most {most} relays and \
             receivers together, not {nodes}"
        ));
    }
    Ok(receivers)
}

fn show(output: &Output, rows: &[Row]) {
    let width = rows.iter().map(|row| row.label.len()).max().unwrap_or(0);
    for row in rows {
        output.line(&format!("{:width$}  {}", row.label, row.text));
    }
}

/// A link that loses datagrams stands for a network: theirs have the size of a network's, too.
fn transport(common: &Common, lossy: bool) -> TransportConfig {
    let transport = common.transport();
    let size = transport.packet_sizes().network;
    let limited = transport.clone().with_max_loopback_packet_size(size);
    limited.ok().filter(|_| lossy).unwrap_or(transport)
}
