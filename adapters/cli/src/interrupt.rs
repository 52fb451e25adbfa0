//! Ctrl-C and the polite kill: heard once by everybody, the second time at once.

use std::sync::Arc;

use tokio::sync::watch;

use crate::exit::{Cause, Failure};
use crate::output::Output;

/// Tells when the user wants an end. Clones hear the same.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    heard: watch::Receiver<bool>,
}

impl Interrupt {
    /// Begins to listen; a second signal ends the process there and then.
    ///
    /// # Errors
    /// The system lets nobody listen.
    pub(crate) fn listen(output: &Arc<Output>) -> Result<Self, Failure> {
        let (tell, heard) = watch::channel(false);
        let mut signals = Signals::new()
            .map_err(|error| Failure::new(Cause::Failure, format_args!("no signals: {error}")))?;
        let output = Arc::clone(output);
        tokio::spawn(async move {
            signals.next().await;
            tell.send_replace(true);
            signals.next().await;
            let code = output.end(&Err(Failure::interrupted()));
            std::process::exit(code.into());
        });
        Ok(Self { heard })
    }

    /// Ready once the user wants an end. Cancel-safe.
    pub(crate) async fn wait(&mut self) {
        if self.heard.wait_for(|heard| *heard).await.is_err() {
            // Whoever listened is gone with the runtime: nothing is to be heard any more.
            std::future::pending::<()>().await;
        }
    }

    /// `work`, or [`Failure::interrupted`] if the user wants an end first.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) async fn or<T, E>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E>
    where
        E: From<Failure>,
    {
        tokio::select! {
            biased;
            () = self.wait() => Err(Failure::interrupted().into()),
            done = work => done,
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
