//! The command as its users have it: real processes, real sockets, real files.

#[cfg(test)]
mod carriers;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod endings;
mod environment;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod relay_limits;
#[cfg(test)]
mod rogue;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod support;
#[cfg(test)]
mod talk;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod transfers;
