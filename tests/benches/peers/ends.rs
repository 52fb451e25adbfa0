//! Nodes with threads of their own, so that each one's CPU time can be told.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// A runtime for each node, with a worker for every core, as in processes of their own.
pub(crate) struct Ends {
    server: Runtime,
    client: Runtime,
}

/// CPU time that each node has used, user and system together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) server: Duration,
    pub(crate) client: Duration,
}

impl Used {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            server: self.server.saturating_sub(earlier.server),
            client: self.client.saturating_sub(earlier.client),
        }
    }

    pub(crate) fn all(self) -> Duration {
        self.server + self.client
    }
}

const SERVER: &str = "bench-server";
const CLIENT: &str = "bench-client";

fn runtime(name: &str) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).thread_name(name).enable_all().build().expect("a runtime")
}

impl Ends {
    pub(crate) fn new() -> Self {
        Self { server: runtime(SERVER), client: runtime(CLIENT) }
    }

    /// Runs on the server's threads.
    pub(crate) fn server<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.server.block_on(self.server.spawn(work)).expect("no panic")
    }

    /// Runs on the client's threads.
    pub(crate) fn client<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.client.block_on(self.client.spawn(work)).expect("no panic")
    }
}

/// What the threads of all nodes have used so far (Linux: the scheduler's own count, in ns).
pub(crate) fn used() -> Used {
    let mut used = Used::default();
    let tasks = std::fs::read_dir("/proc/self/task").expect("this bench needs Linux");
    for task in tasks.flatten() {
        let read = |name| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let ran = read("schedstat").split(' ').next().and_then(|ns| ns.parse().ok());
        let ran = Duration::from_nanos(ran.unwrap_or(0));
        match read("comm").trim() {
            SERVER => used.server += ran,
            CLIENT => used.client += ran,
            _ => {}
        }
    }
    used
}
