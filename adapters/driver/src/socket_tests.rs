use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::*;
use crate::fault::{Call, Faults, FaultyIo};

fn local() -> Bound {
    bind("127.0.0.1:0".parse().unwrap(), &SocketConfig::default()).unwrap()
}

/// Receives until `want` bytes have come; gives the messages as (bytes, segment, remote, ecn).
fn receive(bound: &Bound, want: usize) -> Vec<(Vec<u8>, usize, SocketAddr, Option<Ecn>)> {
    let (mut batch, mut got, mut all) = (RecvBatch::new(), 0, Vec::new());
    let deadline = Instant::now() + Duration::from_secs(5);
    while got < want && Instant::now() < deadline {
        match bound.io.recv(SockRef::from(&bound.socket), &mut batch) {
            Ok(_) => {
                for message in batch.messages() {
                    got += message.bytes.len();
                    let (segment, remote, ecn) = (message.segment, message.remote, message.ecn);
                    all.push((message.bytes.to_vec(), segment, remote, ecn));
                }
            }
            Err(error) => assert_eq!(Fault::of(&error), Fault::WouldBlock),
        }
    }
    assert_eq!(got, want);
    all
}

fn outgoing(remote: SocketAddr, bytes: &[u8]) -> Outgoing<'_> {
    Outgoing { remote, local: None, ecn: None, segment: None, bytes }
}

#[test]
fn a_batch_leaves_in_one_call_and_its_datagrams_keep_their_borders() {
    let (a, b) = (local(), local());
    let bytes: Vec<u8> = (0..9700).map(|i| (i / 1200) as u8).collect();
    let segments = a.io.max_gso_segments();
    println!("gso {segments}, gro {}", b.io.gro_segments());
    if segments < 9 {
        println!("no segmentation offload on this machine");
        return;
    }
    let batch = Outgoing { segment: Some(1200), ..outgoing(b.local, &bytes) };
    assert_eq!(batch.count(), 9);
    a.io.send(SockRef::from(&a.socket), &batch).unwrap();
    let got = receive(&b, bytes.len());
    let datagrams: Vec<&[u8]> =
        got.iter().flat_map(|(bytes, segment, ..)| bytes.chunks(*segment)).collect();
    assert_eq!(datagrams.len(), 9);
    assert_eq!(datagrams.concat(), bytes);
    assert_eq!(datagrams[8].len(), 100);
    println!("{} messages for 9 datagrams", got.len());
}

#[test]
fn marks_arrive_with_single_datagrams() {
    let (a, b) = (local(), local());
    let marked = Outgoing { ecn: Some(Ecn::Ect0), ..outgoing(b.local, b"marked") };
    a.io.send(SockRef::from(&a.socket), &marked).unwrap();
    let got = receive(&b, 6);
    assert_eq!(got[0].3, Some(Ecn::Ect0));
}

#[test]
fn a_dual_stack_socket_speaks_of_ipv4_peers_by_their_ipv4_address() {
    let Ok(wild) = bind("[::]:0".parse().unwrap(), &SocketConfig::default()) else {
        println!("no IPv6 on this machine");
        return;
    };
    assert!(wild.takes_v4);
    let v4 = local();
    let to = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), wild.local.port());
    v4.io.send(SockRef::from(&v4.socket), &outgoing(to, b"four")).unwrap();
    let got = receive(&wild, 4);
    assert_eq!(got[0].2, v4.local);
    // And back, from the address that it was sent to.
    let answer = Outgoing { local: Some(to.ip()), ..outgoing(v4.local, b"back") };
    wild.io.send(SockRef::from(&wild.socket), &answer).unwrap();
    let got = receive(&v4, 4);
    assert_eq!(got[0].2, to);
}

#[test]
fn a_socket_for_ipv6_alone_takes_no_ipv4() {
    let config = SocketConfig::default().with_v6_only();
    if let Ok(bound) = bind("[::]:0".parse().unwrap(), &config) {
        assert!(!bound.takes_v4);
    }
}

#[test]
fn a_buffer_that_is_smaller_than_asked_for_is_told_with_value_and_sysctl() {
    let config = SocketConfig::default().with_receive_buffer(1 << 30).with_send_buffer(4096);
    let bound = bind("127.0.0.1:0".parse().unwrap(), &config).unwrap();
    let [warning] = bound.warnings[..] else { panic!("{:?}", bound.warnings) };
    assert_eq!((warning.buffer, warning.asked), ("receive", 1 << 30));
    assert!(warning.got > 0 && warning.got < 1 << 30);
    let said = warning.to_string();
    println!("{said}");
    assert!(said.contains("net.core.rmem_max=1073741824"), "{said}");
    assert!(said.contains(&warning.got.to_string()), "{said}");
}

#[cfg(unix)]
#[test]
fn errors_are_sorted_by_what_they_mean() {
    let sorted = [
        (libc::EAGAIN, Fault::WouldBlock),
        (libc::ENETUNREACH, Fault::Unreachable),
        (libc::EHOSTUNREACH, Fault::Unreachable),
        (libc::ENETDOWN, Fault::Unreachable),
        (libc::ENOBUFS, Fault::NoBuffers),
        (libc::ECONNREFUSED, Fault::Refused),
        (libc::EMSGSIZE, Fault::TooLarge),
        (libc::EPERM, Fault::NotPermitted),
        (libc::EACCES, Fault::NotPermitted),
        (libc::EIO, Fault::Segmentation),
        (libc::EINVAL, Fault::Segmentation),
        (libc::EBADF, Fault::Dead),
        (libc::ENOTSOCK, Fault::Dead),
        (libc::EPROTO, Fault::Other),
    ];
    for (errno, fault) in sorted {
        assert_eq!(Fault::of(&io::Error::from_raw_os_error(errno)), fault, "errno {errno}");
    }
}

#[cfg(unix)]
#[test]
fn planned_faults_strike_as_often_as_planned_and_only_their_calls() {
    let (a, b) = (local(), local());
    let faults = Faults::new();
    let io = FaultyIo::new(a.io, faults.clone());
    faults.plan(Call::SendBatch, libc::EIO, 1);
    faults.plan(Call::Send, libc::ENOBUFS, 2);
    let one = outgoing(b.local, b"one");
    for _ in 0..2 {
        let error = io.send(SockRef::from(&a.socket), &one).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
    }
    io.send(SockRef::from(&a.socket), &one).unwrap();
    assert_eq!(faults.left(), 1);
    let two = Outgoing { segment: Some(2), ..outgoing(b.local, b"abcd") };
    let error = io.send(SockRef::from(&a.socket), &two).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert_eq!(faults.left(), 0);
    assert_eq!(receive(&b, 3).len(), 1);
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let taken = local();
    let error = bind(taken.local, &SocketConfig::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn addresses_of_a_wildcard_can_be_dialled() {
    let any: SocketAddr = "0.0.0.0:7000".parse().unwrap();
    let addrs = crate::addrs::dialable_addrs(any, true);
    println!("{addrs:?}");
    assert!(!addrs.is_empty());
    assert!(addrs.iter().all(|addr| addr.is_ipv4() && !addr.ip().is_unspecified()));
    assert!(addrs.iter().all(|addr| addr.port() == 7000));
    let six: SocketAddr = "[::]:7000".parse().unwrap();
    assert!(crate::addrs::dialable_addrs(six, false).iter().all(SocketAddr::is_ipv6));
    let one: SocketAddr = "10.1.2.3:7000".parse().unwrap();
    assert_eq!(crate::addrs::dialable_addrs(one, true), [one]);
}

/// The option as the kernel has it. Linux has one for each family that a socket can speak.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no crate here reads this option")]
fn mtu_discover(socket: &std::net::UdpSocket, level: i32, name: i32) -> i32 {
    use std::os::fd::AsRawFd;
    let mut value: libc::c_int = -1;
    let mut len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: both pointers are to locals that live longer than the call, and `len` says how many
    // bytes the first has.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len)
    };
    assert_eq!((done, len), (0, 4), "{}", io::Error::last_os_error());
    value
}

/// Datagrams leave whole or not at all, whatever the kernel believes of the way: so it is the
/// transport that finds its size.
#[cfg(target_os = "linux")]
#[test]
fn the_kernel_neither_cuts_datagrams_nor_decides_their_size() {
    let v4 = |socket: &_| mtu_discover(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
    let v6 = |socket: &_| mtu_discover(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
    let bound = local();
    assert_eq!(v4(&bound.socket), libc::IP_PMTUDISC_PROBE);
    let config = SocketConfig::default();
    for (addr, config) in [("[::]:0", config), ("[::1]:0", config.with_v6_only())] {
        let Ok(bound) = bind(addr.parse().unwrap(), &config) else {
            println!("{addr}: no IPv6 on this machine");
            continue;
        };
        assert_eq!(v6(&bound.socket), libc::IPV6_PMTUDISC_PROBE, "{addr}");
        assert!(!bound.takes_v4 || v4(&bound.socket) == libc::IP_PMTUDISC_PROBE, "{addr}");
    }
}
