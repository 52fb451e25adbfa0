//! All that single peers do, at once before one endpoint.

use super::*;

/// What one of the crowd says in a round.
type Attack = Box<dyn FnMut(&mut Rioter, u64) -> Vec<u8>>;

/// Heads, and bodies as far as credit goes.
fn filling() -> Attack {
    let mut ends = std::collections::BTreeMap::new();
    Box::new(move |rioter, round| {
        if round == 0 {
            ends.clear();
        }
        let dir = if round % 2 == 0 { Dir::Bi } else { Dir::Uni };
        let id = rioter.stream(dir, (round / 2) % rioter.allowed[dir as usize]);
        let Some(end) = ends.get_mut(&id) else {
            ends.insert(id, 0);
            return opening(id, &[9; 900]);
        };
        if *end + 1_000 > rioter.credit(id) {
            return vec![1];
        }
        *end += 1_000;
        body(id, *end - 1_000, &[7; 1_000])
    })
}

/// Single bytes with gaps of one.
fn crumbling() -> Attack {
    Box::new(|rioter, round| {
        let id = rioter.stream(Dir::Uni, round % rioter.allowed[1]);
        let first = round / rioter.allowed[1] * 400 + 1;
        let last = rioter.credit(id).min(first + 400);
        let mut crumbs = opening(id, &[]);
        crumbs.extend((first..last).step_by(2).flat_map(|at| body(id, at, b"x")));
        crumbs
    })
}

fn saying(mut frames: impl FnMut(&Rioter, u64) -> Vec<u8> + 'static) -> Attack {
    Box::new(move |rioter, round| frames(rioter, round))
}

fn datagrams_of(len: usize) -> Attack {
    let data = vec![7; len];
    let mut plaintext = Vec::new();
    let many = (1_100 / (len + 3)).clamp(1, 300);
    (0..many).for_each(|_| Frame::Datagram { data: &data }.encode(&mut plaintext));
    saying(move |_, _| plaintext.clone())
}

fn attacks() -> Vec<Attack> {
    vec![
        filling(),
        filling(),
        crumbling(),
        datagrams_of(0),
        datagrams_of(1_100),
        saying(|_, round| [numbers(&[0x1e]), round.to_be_bytes().to_vec()].concat()),
        saying(|rioter, round| {
            let id = rioter.stream(Dir::Uni, round % rioter.allowed[1]);
            [numbers(&[4, id.0, 2, 1, 16 << 20, 0]), body(id, 0, b"x")].concat()
        }),
        saying(|rioter, round| {
            let id = rioter.stream(Dir::Bi, round % rioter.allowed[0]).0;
            numbers(&[0x17, id, 16_384, 7, id, 7, 0, 0x14, 0, round, 0x16, round, 0x18, round, 1])
        }),
        saying(|_, round| numbers(&[0x1d, round])),
        saying(|_, round| {
            let [.., a, b, c] = round.to_be_bytes();
            [numbers(&[0x20, round]), vec![4, 10, a, b, c, 0, 1]].concat()
        }),
        Box::new(|rioter, _| {
            rioter.peer.as_mut().expect("a connection").number += 1;
            vec![1]
        }),
        // Opened and reset, as fast as it is allowed.
        saying({
            let mut next = 0;
            move |rioter, round| {
                next = if round == 0 { 0 } else { next };
                let mut plaintext = vec![1];
                while next < rioter.allowed[1] && plaintext.len() < 1_000 {
                    let id = rioter.stream(Dir::Uni, next);
                    plaintext.extend(numbers(&[4, id.0, 0, 9, 0, 6, id.0, 0, 0, 0, 0]));
                    next += 1;
                }
                plaintext
            }
        }),
        // Somewhere else with every packet.
        Box::new(|rioter, round| {
            rioter.from.set_port(1_000 + (round % 50_000) as u16);
            vec![1]
        }),
    ]
}

/// A stranger's first packet, from an address of its own.
fn stranger(mob: &mut Mob, rng: &mut Rng, number: u64) {
    let cid = ConnectionId((number + 1).to_be_bytes());
    let peer = number.is_multiple_of(2).then(|| mob.endpoint.node_id());
    let first = Initiator::start(&byzantine_config(), peer, cid, &Params::default(), rng);
    let mut bytes = Vec::new();
    first.expect("a first packet").datagram(&mut bytes);
    let [.., a, b] = number.to_be_bytes();
    mob.feed(([10, 7, a, b], 7).into(), &mut bytes);
    mob.pump();
}

/// All of them at once before one endpoint. Whoever is thrown out comes again.
///
/// spec: R-FLOW-3, R-LIM-2
#[test]
fn memory_held_stays_within_the_bound_before_a_crowd() {
    let _alone = ALONE.lock();
    let mut attacks = attacks();
    let count = attacks.len();
    let places = count as u32 + 3;
    // Who answers no recall is put up with for the idle time-out and 32 PTO (R-FLOW-22).
    let transport = TransportConfig::default().with_idle_timeout(Duration::from_secs(1));
    let config = honest().with_transport(transport.expect("a lawful time"));
    let config = config.with_memory(BUDGET, places).expect("a lawful budget");
    let mut mob = Mob::new(config, count as u8);
    let mut rng = Rng::new(&Seed::from_u64(5));
    let mut rounds = vec![0; count];
    let (mut joined, mut peak, mut closest) = (0, 0, i64::MAX);
    let before = live();
    for turn in 0..6_000_u64 {
        for index in 0..count {
            if mob.rioters[index].peer.is_none() {
                if turn % 50 == 0 && mob.join(index) {
                    rounds[index] = 0;
                    joined += 1;
                }
                continue;
            }
            let plaintext = attacks[index](&mut mob.rioters[index], rounds[index]);
            rounds[index] += 1;
            mob.say(index, &plaintext);
            if turn % 3 == 0 {
                mob.ack(index);
            }
        }
        if turn % 10 == 0 {
            stranger(&mut mob, &mut rng, turn);
        }
        mob.pass(Duration::from_micros(500));
        let stats = mob.endpoint.stats();
        let handles: Vec<_> = mob.rioters.iter().filter_map(|rioter| rioter.handle).collect();
        let streams: usize = handles
            .into_iter()
            .filter_map(|handle| Some(mob.endpoint.connection(handle)?.stats().streams))
            .sum();
        let connections = u64::from(stats.connections + stats.half_open);
        let bound = (BUDGET + connections * C + streams as u64 * S) as i64;
        let held = live() - before;
        (peak, closest) = (peak.max(held), closest.min(bound - held));
        assert!(held <= bound, "{held} bytes held, bound {bound}, turn {turn}, {stats:?}");
    }
    println!(
        "{count} attackers, {joined} connections: {} KiB at the most, {} KiB below the bound; {:?}",
        peak >> 10,
        closest >> 10,
        mob.endpoint.stats()
    );
    println!("{:?}", mob.ends);
    assert!(joined > count && peak > 200_000, "nothing happened");
}
