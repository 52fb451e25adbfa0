//! The commands, one a file.

mod access;
mod demo;
mod door;
mod id;
mod intake;
mod limits;
mod ping;
mod recv;
mod relay;
mod replies;
mod report;
mod resuming;
mod send;
mod sim;
mod trace;
mod waits;

use crate::args::{Cli, Command};
use crate::exit::{Cause, Failure};
use crate::interrupt::Interrupt;
use crate::output::{Fields, Output};
use crate::tapes;

/// Does what the user wants; what is returned is the last word.
///
/// # Errors
/// Whatever kept it from being done.
pub(crate) async fn run(cli: Cli, output: &std::sync::Arc<Output>) -> Result<Fields, Failure> {
    let interrupt = Interrupt::listen(output)?;
    let common = cli.common;
    let runs_node = !matches!(cli.command, Command::Id | Command::Trace(_) | Command::Sim(_));
    let payload = common.trace_payload.into();
    tapes::want(common.trace.as_deref().filter(|_| runs_node), payload, output);
    match cli.command {
        Command::Id if common.metrics.is_some() => {
            Err(Failure::new(Cause::Usage, "`id` runs no node that --metrics could tell of"))
        }
        Command::Id | Command::Trace(_) if common.trace.is_some() => {
            Err(Failure::new(Cause::Usage, "this runs no node that --trace could record"))
        }
        Command::Trace(_) if common.metrics.is_some() => {
            Err(Failure::new(Cause::Usage, "`trace` runs no node that --metrics could tell of"))
        }
        Command::Trace(command) => trace::run(&command, output),
        Command::Id => id::run(&common, output),
        Command::Recv(options) => recv::run(options, &common, output, interrupt).await,
        Command::Send(options) => send::run(options, &common, output, interrupt).await,
        Command::Relay(options) => relay::run(options, &common, output, interrupt).await,
        Command::Ping(options) => ping::run(&options, &common, output, interrupt).await,
        Command::Demo(options) => demo::run(&options, &common, output, interrupt).await,
        Command::Sim(_) if common.metrics.is_some() => {
            Err(Failure::new(Cause::Usage, "`sim` runs no node that --metrics could tell of"))
        }
        Command::Sim(options) => sim::run(options, &common, output, interrupt).await,
    }
}
