//! Sockets that fail: nothing that passes ends a connection, everything is counted.

use std::time::Duration;

use aqueduct_driver::fault::{Call, Faults, FaultyIo};
use aqueduct_tokio::{
    Carriers, CloseReason, Config, ConnectError, ConnectionError, Endpoint, ReadError,
    SocketConfig, WriteError, generate_key,
};

use crate::harness::*;
use crate::transfer::transfer;

fn faulty(faults: &Faults) -> Endpoint {
    faulty_by(faults, Carriers::both())
}

fn faulty_by(faults: &Faults, carriers: Carriers) -> Endpoint {
    logging();
    let faults = faults.clone();
    let config = Config::new(generate_key().unwrap())
        .with_carriers(carriers)
        .with_socket_io(move |io| FaultyIo::new(io, faults.clone()));
    Endpoint::bind(loopback(), config).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_passing_error_is_survived_and_counted() {
    let faults = Faults::new();
    // By TCP nobody would meet the rest, if the first few cost it all of its first flight.
    let pair = pair_of(faulty_by(&faults, Carriers::udp()), endpoint()).await;
    let errors = [
        libc::ENETUNREACH,
        libc::EHOSTUNREACH,
        libc::ENOBUFS,
        libc::ECONNREFUSED,
        libc::EMSGSIZE,
        libc::EPERM,
        libc::EPROTO,
    ];
    for error in errors {
        faults.plan(Call::Send, error, 3);
        faults.plan(Call::Recv, error, 3);
        transfer(pair.near.clone(), pair.far.clone(), 2 << 20).await;
    }
    transfer(pair.far.clone(), pair.near.clone(), 2 << 20).await;
    assert_eq!(faults.left(), 0);
    let io = pair.client.io_stats();
    println!("{io:?}");
    assert_eq!((io.send_errors, io.recv_errors), (21, 21));
    assert_eq!(io.unreachable, 12);
    assert_eq!((io.no_buffers, io.refused, io.too_large), (6, 6, 6));
    assert_eq!((io.not_permitted, io.other_errors), (6, 6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_socket_holds_one_transmit_and_goes_on() {
    let faults = Faults::new();
    let pair = pair_of(faulty(&faults), endpoint()).await;
    for _ in 0..20 {
        // The second comes when the runtime is asked whether the socket is full. It never says that
        // it is not, since the kernel knows nothing of this.
        faults.plan(Call::Send, libc::EAGAIN, 2);
        transfer(pair.near.clone(), pair.far.clone(), 1 << 20).await;
    }
    let io = pair.client.io_stats();
    println!("{io:?}");
    assert!(io.blocked >= 20, "{}", io.blocked);
    assert_eq!(io.send_errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_socket_may_be_met_on_a_thread_of_no_runtime() {
    let faults = Faults::new();
    let pair = pair_of(faulty(&faults), endpoint()).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        faults.plan(Call::Send, libc::EAGAIN, 1);
        let near = pair.near.clone();
        let send = move || near.send_datagram(pattern(1000).into()).unwrap();
        std::thread::spawn(send).join().unwrap();
        let came = soon("the datagram", pair.far.read_datagram()).await.unwrap();
        assert_eq!(came, pattern(1000));
    }
    assert!(pair.client.io_stats().blocked > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_seconds_without_a_network_end_no_session() {
    let faults = Faults::new();
    let pair = pair_of(faulty(&faults), endpoint()).await;
    faults.plan(Call::Send, libc::ENETUNREACH, u64::MAX);
    let moving = tokio::spawn(transfer(pair.near.clone(), pair.far.clone(), 4 << 20));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tried = pair.client.io_stats().unreachable;
    faults.clear();
    within(Duration::from_secs(30), "the transfer", moving).await.unwrap();
    println!("{tried} sends failed meanwhile");
    assert!(tried > 0);
    assert!(tried < 1000, "it hammers a dead network: {tried} sends in 2 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_only_fails_to_receive_does_not_make_the_driver_spin() {
    let faults = Faults::new();
    let pair = pair_of(faulty(&faults), endpoint()).await;
    faults.plan(Call::Recv, libc::ENOBUFS, u64::MAX);
    let moving = tokio::spawn(transfer(pair.near.clone(), pair.far.clone(), 1 << 20));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let io = pair.client.io_stats();
    faults.clear();
    within(Duration::from_secs(30), "the transfer", moving).await.unwrap();
    println!("{} receives failed in a second, in {} turns", io.recv_errors, io.turns);
    assert!(io.recv_errors < 200, "{io:?}");
    assert!(io.turns < 2_000, "{io:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_is_lost_is_not_looked_at_any_more() {
    let faults = Faults::new();
    let pair = pair_of(faulty(&faults), endpoint()).await;
    faults.plan(Call::Send, libc::EBADF, 1);
    pair.near.send_datagram(pattern(1000).into()).unwrap();
    assert_eq!(soon("the end", pair.near.closed()).await, CloseReason::CarrierLost);
    let stranger = std::net::UdpSocket::bind(loopback()).unwrap();
    let before = pair.client.io_stats().turns;
    stranger.send_to(b"anybody there?", pair.client.local_addr()).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let turns = pair.client.io_stats().turns - before;
    assert!(turns < 100, "{turns} turns for a datagram that nobody reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kernel_that_refuses_batches_gets_single_datagrams() {
    let faults = Faults::new();
    let pair = pair_of(faulty(&faults), endpoint()).await;
    if pair.client.io_stats().gso_disabled > 0 || !cfg!(target_os = "linux") {
        return;
    }
    faults.plan(Call::SendBatch, libc::EIO, 1);
    transfer(pair.near.clone(), pair.far.clone(), 8 << 20).await;
    let io = pair.client.io_stats();
    println!("{io:?}");
    assert_eq!(faults.left(), 0);
    assert_eq!(io.gso_disabled, 1);
    let batched = io.gso_batches;
    transfer(pair.near.clone(), pair.far.clone(), 8 << 20).await;
    let io = pair.client.io_stats();
    assert_eq!(io.gso_batches, batched, "a batch after the kernel refused one");
    assert_eq!(io.send_errors, 0, "the refused batch was lost");
    assert_eq!(io.batches_split, 1, "the core goes on making batches");
}

#[tokio::test]
async fn a_socket_that_is_gone_ends_its_connections_with_that_cause() {
    let faults = Faults::new();
    let pair = pair_of(faulty(&faults), endpoint()).await;
    faults.plan(Call::Send, libc::EBADF, 1);
    pair.near.send_datagram(pattern(1000).into()).unwrap();
    assert_eq!(soon("the end", pair.near.closed()).await, CloseReason::CarrierLost);
    let error = pair.near.open_uni(test_options()).await.unwrap_err();
    println!("{error}");
}

#[tokio::test]
async fn a_driver_that_panics_wakes_everybody() {
    let faults = Faults::new();
    let pair = pair_of(faulty(&faults), endpoint()).await;
    let (mut send, mut recv) = pair.near.open_bi(test_options()).await.unwrap();
    let waits = async {
        tokio::join!(
            recv.read_chunk(10),
            pair.near.accept_uni(),
            pair.near.read_datagram(),
            pair.near.recv_message(),
            pair.near.closed(),
            pair.client.accept(),
        )
    };
    let (panics, waits) = tokio::join!(
        async {
            faults.plan_panics(Call::Send);
            send.write_bytes(pattern(100).into()).await
        },
        soon("everybody", waits)
    );
    panics.unwrap();
    let gone = ConnectionError::DriverGone;
    assert_eq!(waits.0.unwrap_err(), ReadError::Connection(gone.clone()));
    assert_eq!(waits.1.unwrap_err(), gone);
    assert_eq!(waits.2.unwrap_err(), gone);
    assert_eq!(waits.3.unwrap_err(), gone);
    assert_eq!(waits.4, CloseReason::CarrierLost);
    assert!(waits.5.is_none());
    // And what comes later does not hang either.
    let error = send.write_bytes(pattern(100).into()).await.unwrap_err();
    assert_eq!(error, WriteError::Connection(gone.clone()));
    assert_eq!(send.delivered().await.unwrap_err(), WriteError::Connection(gone.clone()));
    assert_eq!(pair.near.open_uni(test_options()).await.unwrap_err(), gone.clone().into());
    assert_eq!(pair.near.send_message(pattern(1).into()).await.unwrap_err(), gone.into());
    let to = (pair.server.node_id(), pair.server.local_addr());
    assert_eq!(pair.client.connect(to).await.unwrap_err(), ConnectError::EndpointClosed);
    soon("idle", pair.client.wait_idle()).await;
    let _zeros = soon("counters", pair.near.stats()).await;
}

#[tokio::test]
async fn a_small_receive_buffer_is_reported() {
    // Of the send buffer so little that every machine has it.
    let socket = SocketConfig::default().with_receive_buffer(1 << 30).with_send_buffer(4096);
    let config = Config::new(generate_key().unwrap()).with_socket(socket);
    let endpoint = Endpoint::bind(loopback(), config).unwrap();
    let [warning] = endpoint.buffer_warnings() else { panic!() };
    assert_eq!(warning.setting, "net.core.rmem_max");
}

#[tokio::test]
async fn an_address_in_use_is_a_typed_error() {
    let taken = endpoint();
    let error = Endpoint::bind(taken.local_addr(), generate_key().unwrap()).unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains(&taken.local_addr().to_string()));
}
