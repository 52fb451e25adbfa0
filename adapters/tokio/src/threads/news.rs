//! What the runtime has said of sockets, and nobody has looked at.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};

use aqueduct_core::wire::id::CarrierId;

use super::sync::{Mutex, lock};

/// Told by whatever thread the runtime is on, taken by the driver's task.
#[derive(Debug)]
pub(crate) struct News(Mutex<Heard>);

#[derive(Debug)]
struct Heard {
    knock: Knock,
    lines: VecDeque<CarrierId>,
    task: Option<Waker>,
}

/// Whether somebody is at the listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knock {
    None,
    Heard,
    /// Who was there could not be let in: to be tried again when the engine asks.
    Failed,
}

/// Notes whose news it is; `None`: of the listening socket.
struct Bell {
    of: Option<CarrierId>,
    news: Arc<News>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.news.tell(self.of);
    }
}

impl News {
    /// Somebody may be there already.
    pub(crate) fn new() -> Arc<Self> {
        let heard = Heard { knock: Knock::Heard, lines: VecDeque::new(), task: None };
        Arc::new(Self(Mutex::new(heard)))
    }

    /// What tells of a socket.
    pub(crate) fn bell(self: &Arc<Self>, of: Option<CarrierId>) -> Waker {
        Waker::from(Arc::new(Bell { of, news: self.clone() }))
    }

    /// There is news of a socket; `None`: of the listening one.
    pub(crate) fn tell(&self, of: Option<CarrierId>) {
        let task = {
            let mut heard = lock(&self.0);
            match of {
                Some(line) => heard.lines.push_back(line),
                None => heard.knock = Knock::Heard,
            }
            heard.task.clone()
        };
        task.iter().for_each(Waker::wake_by_ref);
    }

    /// News wake this task from now on.
    pub(crate) fn report_to(&self, task: &Waker) {
        let mut heard = lock(&self.0);
        match &mut heard.task {
            Some(there) => there.clone_from(task),
            none => *none = Some(task.clone()),
        }
    }

    /// Whether there are any. Who finds none after [`report_to`](Self::report_to) is woken for the
    /// next.
    pub(crate) fn any(&self) -> bool {
        let heard = lock(&self.0);
        heard.knock == Knock::Heard || !heard.lines.is_empty()
    }

    /// Takes those of connected sockets.
    pub(crate) fn take_lines(&self, into: &mut VecDeque<CarrierId>) {
        into.append(&mut lock(&self.0).lines);
    }

    /// Takes those of the listening socket.
    pub(crate) fn take_knock(&self) -> Knock {
        std::mem::replace(&mut lock(&self.0).knock, Knock::None)
    }

    /// How it stands with the listening socket, as the driver has found.
    pub(crate) fn set_knock(&self, knock: Knock) {
        lock(&self.0).knock = knock;
    }
}
