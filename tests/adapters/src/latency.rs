//! How long a question of 64 bytes and its answer take, and how much goes in a second: by threads,
//! on tokio, and by a plain TCP socket of the standard library, one after another in one run.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::node::{Inlet, Link, Node, Outlet, Std, Tokio, options, pair, runtime};

const QUESTIONS: usize = 20_000;
const LEN: usize = 64;
const BODY: usize = 256 << 20;
const AT_ONCE: usize = 256 << 10;

struct Figures {
    what: &'static str,
    took: Vec<Duration>,
    body: Duration,
}

impl Figures {
    fn print(mut self) {
        self.took.sort_unstable();
        let at = |part: f64| self.took[(self.took.len() as f64 * part) as usize];
        let rate = BODY as f64 / self.body.as_secs_f64() / f64::from(1 << 20);
        println!(
            "{:<12} p50 {:>9.1?}  p99 {:>9.1?}  {rate:>6.0} MiB/s",
            self.what,
            at(0.5),
            at(0.99)
        );
    }
}

fn by_threads() -> Figures {
    let pair = pair::<Std, Std>();
    let (mut send, mut recv) = pair.near.open_bi(options()).unwrap();
    let far = pair.far.clone();
    let answering = thread::spawn(move || {
        let (mut send, mut recv) = far.accept_bi().unwrap();
        let mut question = [0; LEN];
        while recv.read_exact(&mut question).is_ok() {
            send.write_all(&question).unwrap();
        }
    });
    let mut took = Vec::new();
    for _ in 0..QUESTIONS {
        let (begun, mut answer) = (Instant::now(), [0; LEN]);
        send.write_all(&[7; LEN]).unwrap();
        recv.read_exact(&mut answer).unwrap();
        took.push(begun.elapsed());
    }
    Outlet::finish(&mut send).unwrap();
    answering.join().unwrap();
    Figures { what: "threads", took, body: body::<Std>() }
}

fn on_tokio() -> Figures {
    let pair = pair::<Tokio, Tokio>();
    let far = pair.far.clone();
    let took = runtime().block_on(async {
        let near = pair.near.clone();
        let answering = tokio::spawn(async move {
            let (mut send, mut recv) = far.accept_bi().await.unwrap();
            let mut question = [0; LEN];
            while recv.read_exact(&mut question).await.is_ok() {
                send.write_all(&question).await.unwrap();
            }
        });
        let asking = tokio::spawn(async move {
            let (mut send, mut recv) = near.open_bi(options()).await.unwrap();
            let mut took = Vec::new();
            for _ in 0..QUESTIONS {
                let (begun, mut answer) = (Instant::now(), [0; LEN]);
                send.write_all(&[7; LEN]).await.unwrap();
                recv.read_exact(&mut answer).await.unwrap();
                took.push(begun.elapsed());
            }
            send.finish().unwrap();
            took
        });
        let took = asking.await.unwrap();
        answering.await.unwrap();
        took
    });
    Figures { what: "tokio", took, body: body::<Tokio>() }
}

/// One body by one stream.
fn body<N: Node>() -> Duration {
    let pair = pair::<N, N>();
    let mut out = pair.near.open_uni(options());
    let far = pair.far.clone();
    let reading = thread::spawn(move || {
        let (mut recv, mut read) = (far.accept_uni().unwrap(), 0);
        while let Some(bytes) = recv.some(AT_ONCE).unwrap() {
            read += bytes.len();
        }
        read
    });
    let begun = Instant::now();
    for _ in 0..BODY / AT_ONCE {
        out.put(&[1; AT_ONCE]).unwrap();
    }
    out.finish().unwrap();
    assert_eq!(reading.join().unwrap(), BODY);
    begun.elapsed()
}

fn by_tcp() -> Figures {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let far = listener.accept().unwrap().0;
    for socket in [&near, &far] {
        socket.set_nodelay(true).unwrap();
    }
    let (mut near, mut far) = (near, far);
    let answering = thread::spawn(move || {
        let mut question = [0; LEN];
        for _ in 0..QUESTIONS {
            far.read_exact(&mut question).unwrap();
            far.write_all(&question).unwrap();
        }
        let (mut read, mut bytes) = (0, vec![0; AT_ONCE]);
        while read < BODY {
            read += far.read(&mut bytes).unwrap();
        }
    });
    let mut took = Vec::new();
    for _ in 0..QUESTIONS {
        let (begun, mut answer) = (Instant::now(), [0; LEN]);
        near.write_all(&[7; LEN]).unwrap();
        near.read_exact(&mut answer).unwrap();
        took.push(begun.elapsed());
    }
    let begun = Instant::now();
    for _ in 0..BODY / AT_ONCE {
        near.write_all(&[1; AT_ONCE]).unwrap();
    }
    answering.join().unwrap();
    Figures { what: "plain TCP", took, body: begun.elapsed() }
}

pub(crate) fn figures() {
    for of in [by_threads, on_tokio, by_tcp] {
        of().print();
    }
}
