//! The digest of the datagrams of one moment, as the page must show it, too: what `check.mjs` in
//! `spec/lab` opens there.

use std::time::Duration;

use aqueduct_lab::lane::Settings;
use aqueduct_lab::scene::Lab;

fn link(delay: u64, loss: u32, rate: u64) -> Settings {
    let delay = Duration::from_millis(delay);
    Settings { delay, loss, rate: rate * 125_000, queue: 64 * 1024, cut: false }
}

fn main() {
    let links = [link(20, 0, 8), link(20, 5_000, 8), link(40, 0, 5)];
    let mut lab = Lab::new(7, links, false);
    let at = Duration::from_millis;
    lab.advance(at(1_500));
    lab.set(1, |near| near.loss = 20_000);
    lab.advance(at(2_000));
    lab.set(2, |far| far.cut = true);
    lab.advance(at(2_600));
    lab.set(2, |far| far.cut = false);
    lab.advance(at(4_000));
    println!("{}", lab.fingerprint().map(|byte| format!("{byte:02x}")).concat());
}
