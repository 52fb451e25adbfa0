//! `aqueduct ping`: how long the way there and back takes.

use std::time::{Duration, Instant};

use aqueduct_tokio::{Connection, OpenOptions, RecvStream};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::args::{Common, Ping};
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::key;
use crate::node::{self, Farewell};
use crate::offer::PING_PROTOCOL;
use crate::output::{Fields, Output};

/// Sends numbers and waits for them to come back.
///
/// # Errors
/// Nobody answers, or not to the end.
pub(super) async fn run(
    options: &Ping,
    common: &Common,
    output: &Output,
    mut interrupt: Interrupt,
) -> Result<Fields, Failure> {
    let key = key::load_or_make(common.key.as_deref())?.key;
    let begun = Instant::now();
    let ticket = &options.ticket;
    let node = node::dial(key, ticket, &options.addr, common, output, &mut interrupt).await?;
    let (endpoint, connection) = (&node.endpoint, &node.connection);
    let handshake = begun.elapsed();
    output.line(&format!(
        "{} at {} by {}: handshake {:.3} ms",
        connection.peer(),
        connection.remote(),
        node::carrier(connection.carriage()),
        millis(handshake)
    ));
    let how = interrupt.or(exchange(options, connection, output)).await;
    match &how {
        Ok(_) => node::say_goodbye(endpoint, connection, Farewell::Done).await,
        Err(failure) => {
            node::say_goodbye(endpoint, connection, Farewell::Failed(failure)).await;
        }
    }
    let times = how?;
    let (min, max) = (times.iter().min().copied(), times.iter().max().copied());
    let sum: Duration = times.iter().sum();
    let average = sum / u32::try_from(times.len().max(1)).unwrap_or(u32::MAX);
    let (min, max) = (min.unwrap_or_default(), max.unwrap_or_default());
    output.line(&format!(
        "{} answers, round trip min {:.3} avg {:.3} max {:.3} ms",
        times.len(),
        millis(min),
        millis(average),
        millis(max)
    ));
    let mut fields = Fields::new();
    fields.insert("command".into(), json!("ping"));
    fields.insert("peer".into(), json!(connection.peer().to_string()));
    fields.insert("remote".into(), json!(connection.remote().to_string()));
    fields.insert("carrier".into(), json!(node::carrier(connection.carriage())));
    fields.insert("count".into(), json!(times.len()));
    fields.insert("handshake_ms".into(), json!(millis(handshake)));
    fields.insert("min_ms".into(), json!(millis(min)));
    fields.insert("avg_ms".into(), json!(millis(average)));
    fields.insert("max_ms".into(), json!(millis(max)));
    Ok(fields)
}

async fn exchange(
    options: &Ping,
    connection: &Connection,
    output: &Output,
) -> Result<Vec<Duration>, Failure> {
    let (mut there, mut back) = connection.open_bi(OpenOptions::new(PING_PROTOCOL)).await?;
    let mut times = Vec::new();
    for number in 1..=options.count {
        if number > 1 {
            tokio::time::sleep(Duration::from_millis(options.interval)).await;
        }
        let sent = Instant::now();
        let word = u64::from(number).to_be_bytes();
        there.write_all(&word).await.map_err(|error| write_failure(connection, &error))?;
        read_back(&mut back, &word).await?;
        let time = sent.elapsed();
        output.line(&format!("{number}: {:.3} ms", millis(time)));
        output.event("ping", json!({"number": number, "ms": millis(time)}));
        times.push(time);
    }
    there.finish()?;
    Ok(times)
}

/// The cause lies in the connection if that is over, and in the call otherwise.
fn write_failure(connection: &Connection, error: &std::io::Error) -> Failure {
    match connection.close_reason() {
        Some(reason) => reason.into(),
        None => Failure::new(Cause::Failure, error),
    }
}

async fn read_back(back: &mut RecvStream, word: &[u8]) -> Result<(), Failure> {
    let mut left = word;
    while !left.is_empty() {
        let Some(bytes) = back.read_chunk(left.len()).await? else {
            return Err(Failure::new(Cause::Failure, "the other side ended without an answer"));
        };
        left = left
            .strip_prefix(&bytes[..])
            .ok_or_else(|| Failure::new(Cause::Integrity, "another number came back"))?;
    }
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
