//! Several endpoints on one machine.

use std::time::Duration;

use aqueduct_core::wire::id::Dir;
use aqueduct_tests::app::App;
use aqueduct_tests::link::LinkConfig;
use aqueduct_tests::net::{HostId, Net};

use crate::transfer::config;

const SECOND: Duration = Duration::from_secs(1);

fn run(net: &mut Net, apps: &mut [App], limit: Duration, done: impl Fn(&[App]) -> bool) -> bool {
    net.run(limit, |net| {
        apps.iter_mut().for_each(|app| app.turn(net));
        done(apps)
    })
}

fn has_read(app: &App, streams: usize) -> bool {
    app.inn.iter().filter(|flow| flow.finished).count() == streams
}

/// Two nodes share an address, and talk with a third and with each other. One is killed: the third
/// hears of that one's end alone, and the other goes on.
#[test]
fn two_nodes_at_one_address_are_two() {
    let mut net = Net::new(46, LinkConfig { loss: 20, ..LinkConfig::default() });
    let far = net.add(config(1), 1);
    let first = net.add(config(2), 2);
    let second = net.add_beside(first, config(3), 3);
    assert_eq!(net.hosts[first.0].addr.ip(), net.hosts[second.0].addr.ip());

    let lines = [(far, first), (far, second), (second, first)];
    let lines = lines.map(|(from, to)| (from, net.connect(from, to)));
    let mut apps = [far, first, second].map(App::new);
    run(&mut net, &mut apps, SECOND, |_| false);
    for (number, (from, handle)) in (0..).zip(lines) {
        apps[from.0].write(&mut net, handle, Dir::Uni, number, 200_000);
    }
    assert!(run(&mut net, &mut apps, SECOND * 30, |apps| {
        has_read(&apps[first.0], 2) && has_read(&apps[second.0], 1)
    }));

    net.restart(first, config(2), 77);
    apps[first.0] = App::new(first);
    for (number, (from, handle)) in (3..).zip(lines) {
        apps[from.0].write(&mut net, handle, Dir::Uni, number, 1_000);
    }
    let [(_, killed), (_, kept), (_, beside)] = lines;
    let ended = |apps: &[App], host: HostId, handle| apps[host.0].closed(handle).is_some();
    assert!(run(&mut net, &mut apps, SECOND * 10, |apps| {
        ended(apps, far, killed) && ended(apps, second, beside) && has_read(&apps[second.0], 2)
    }));
    assert!(!ended(&apps, far, kept), "the other node's connection ended, too");
}
