//! A connection in the making.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use aqueduct_driver::Dialing;
use aqueduct_driver::error::ConnectError;

use crate::connection::Connection;

/// A connection in the making. Dropped, it is given up.
#[derive(Debug)]
#[must_use = "nothing is waited for unless it is awaited; dropped, it is given up"]
pub struct Connecting {
    inner: Dialing,
}

impl Connecting {
    pub(crate) fn new(inner: Dialing) -> Self {
        Self { inner }
    }
}

impl Future for Connecting {
    type Output = Result<Connection, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.inner).poll(cx).map_ok(Connection::new)
    }
}
