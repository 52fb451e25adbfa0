//! Hole punching: two behind NATs, introduced by somebody outside who saw where each of them is.
//! The introduction itself is the application's; here the scenario makes it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use aqueduct_core::crypto::identity::NodeKey;
use aqueduct_core::endpoint::PeerAddr;

use super::interop::case;
use super::lab::config;
use super::{Report, Scenario, Series};
use crate::app::App;
use crate::link::LinkConfig;
use crate::net::{HostId, Nat, NatKind, Net};

const SECOND: Duration = Duration::from_secs(1);

/// The scenario.
pub const CASES: &[Scenario] = &[case!(
    "punch",
    every_pair,
    "every pair of NAT kinds, begun at once and 2 s apart: who can meet gets one connection"
)];

/// Whether two behind NATs of these kinds get one connection, of which both know, when the second
/// begins so much later than the first.
fn punched(seed: u64, kinds: [NatKind; 2], late: Duration) -> (bool, Report) {
    let mut net = Net::new(seed, LinkConfig::default());
    let began = net.now;
    let outside = net.add(config(3), seed * 10 + 3);
    let hosts = [1, 2].map(|number| net.add(config(number), seed * 10 + u64::from(number)));
    let mut apps = [outside, hosts[0], hosts[1]].map(App::new);
    for (number, (host, kind)) in hosts.into_iter().zip(kinds).enumerate() {
        let public = Ipv4Addr::new(198, 51, 100, number as u8 + 1);
        let nat = net.add_nat(Nat::new(kind, public.into()));
        net.put_behind(host, nat);
        net.connect(host, outside);
    }
    turns(&mut net, &mut apps, SECOND);
    // Each was told where the one outside sees it, and that is passed on.
    let [_, a, b] = &apps;
    let seen = [a, b].map(|app| {
        let [at] = app.connections()[..] else { panic!("{:?}", app.connections()) };
        *app.diary(at).observed.last().expect("an address")
    });
    dial(&mut net, hosts, 0, seen[1]);
    turns(&mut net, &mut apps, late);
    // Who was reached meanwhile has no need to dial.
    if apps[2].connections().len() == 1 {
        dial(&mut net, hosts, 1, seen[0]);
    }
    turns(&mut net, &mut apps, SECOND * 20);
    let outside_id = net.host(outside).endpoint.node_id();
    let hashes = [&apps[1], &apps[2]].map(|app| {
        let there = app.connections().into_iter().filter_map(|handle| {
            let view = net.host(app.host).endpoint.connection(handle)?;
            let peer = view.peer()?;
            (peer != outside_id).then(|| view.handshake_hash())?
        });
        there.collect::<Vec<_>>()
    });
    assert_eq!(hashes[0], hashes[1], "{kinds:?}: both know of the same");
    assert!(hashes[0].len() <= 1, "{kinds:?}: {} connections", hashes[0].len());
    let simulated = net.now.saturating_since(began);
    let report = Report { fingerprint: net.fingerprint(), simulated, figures: Vec::new() };
    (hashes[0].len() == 1, report)
}

fn dial(net: &mut Net, hosts: [HostId; 2], from: usize, to: SocketAddr) {
    let peer = net.host(hosts[1 - from]).endpoint.node_id();
    net.connect_to(hosts[from], PeerAddr::new(peer, to));
}

fn turns(net: &mut Net, apps: &mut [App; 3], time: Duration) {
    net.run(time, |net| {
        apps.iter_mut().for_each(|app| app.turn(net));
        false
    });
}

/// Whether a mapping of this kind is the same for everybody who is written to.
fn is_told(kind: NatKind) -> bool {
    kind != NatKind::Symmetric
}

/// Whether it lets in who comes from another port than was written to.
fn lets_in(kind: NatKind) -> bool {
    matches!(kind, NatKind::FullCone | NatKind::Restricted)
}

/// Every pair of NATs. Two whose mappings are the same for everybody meet, even if the first begins
/// long before the second: its first packet is repeated until the second has opened its own way.
/// Behind a symmetric NAT nobody can be found, but it can find who lets it in from wherever it
/// comes; if both dial, only as long as its attempt is the one that is kept.
///
/// # Panics
/// If others meet, or fewer.
pub fn every_pair(seed: u64) -> Report {
    let [one, other] = [1, 2].map(|number| NodeKey::from_seed(&[number; 32]).id());
    let first_is_kept = one.as_bytes() < other.as_bytes();
    let (mut series, mut count) = (Series::new(), 0);
    for one in NatKind::ALL {
        for other in NatKind::ALL {
            for late in [Duration::ZERO, SECOND * 2] {
                // Who is found at once is not dialled any more.
                let at_once = other == NatKind::FullCone && late > Duration::ZERO;
                let meets = match (is_told(one), is_told(other)) {
                    (true, true) => true,
                    (true, false) => lets_in(one) && !first_is_kept,
                    (false, true) => lets_in(other) && (first_is_kept || at_once),
                    (false, false) => false,
                };
                let (met, report) = punched(seed, [one, other], late);
                assert_eq!(met, meets, "{one:?} and {other:?}, {late:?} later");
                count += u32::from(met);
                series.add(&report);
            }
        }
    }
    series.report(vec![("met", f64::from(count)), ("of", 32.0)])
}
