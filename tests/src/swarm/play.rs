//! What becomes of each deed.

use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_core::wire::id::{AppCode, Dir};

use super::deed::Deed;
use super::node::{Node, onward};
use super::texts::Text;
use super::verdict;
use super::world::{ANSWER, World};
use crate::app::introduction;
use crate::dice::Dice;
use crate::link::{Queue, Schedule};
use crate::net::{HostId, UDP};

/// Bytes a second that cross traffic has at most.
const OWN_LINE: u64 = 1_250_000;
/// Datagrams that somebody listening remembers.
const REMEMBERED: usize = 64;
/// Of those before, each so many-th, and so many of these.
const EACH: u64 = 32;
const HISTORY: usize = 256;

impl World {
    /// Something happens.
    pub(super) fn act(&mut self, deed: Deed) {
        self.forget_old_datagrams();
        match deed {
            Deed::Open { host, edge, dir, onward, len } => self.open(host, edge, dir, onward, len),
            Deed::Message(host, edge, len) => self.say(host, edge, len, true, self.haste()),
            Deed::Datagram(host, edge, len) => self.say(host, edge, len, false, self.haste()),
            Deed::Reset(host, pick) => self.reset(host, pick),
            Deed::Stop(host, pick) => self.stop(host, pick),
            Deed::Cancel(host, pick) => self.cancel(host, pick),
            Deed::Close(host, edge) => self.close(host, edge),
            Deed::Dial(edge) => self.dial(edge),
            Deed::DialBack(edge) => self.dial_back(edge),
            Deed::Join(edge) => self.join(edge),
            Deed::Restart(host) => self.restart(host),
            Deed::Replay(host, luck) => self.replay(host, luck),
            Deed::Recall(host) => self.recall(host),
            Deed::Garbage(host, luck) => self.garbage(host, luck),
            Deed::Sip(host, most) => self.sip(host, most),
            Deed::Riot(number) => self.riot(number),
            Deed::Limit(..) | Deed::PeersLimit(..) | Deed::PeerLimit(..) | Deed::Weigh(_) => {
                self.limit(deed);
            }
            Deed::Scatter { .. } | Deed::Controller(..) | Deed::Priority(..) | Deed::Late(..) => {
                self.humour_whim(deed);
            }
            other => self.befall(other),
        }
    }

    /// Nothing passes from one host to another for so long.
    fn darken(&mut self, from: HostId, to: HostId, time: Duration) {
        let stage = self.roads.get(&(from, to)).cloned().unwrap_or_default();
        let shut = self.net.place(Schedule::once(self.net.now, Duration::ZERO, time));
        let road: Vec<_> = [shut].into_iter().chain(stage).collect();
        self.net.set_road(from, to, &road);
        self.roads.insert((from, to), road);
    }

    /// All roads between the hosts of this set and the others go dark together.
    fn part(&mut self, apart: u64, time: Duration) {
        let among = |host: HostId| apart >> host.0 & 1;
        for (from, to) in self.roads.keys().copied().collect::<Vec<_>>() {
            if among(from) != among(to) {
                self.darken(from, to, time);
            }
        }
    }

    /// Something happens to hosts and roads.
    fn befall(&mut self, deed: Deed) {
        match deed {
            Deed::Rebind(host) => {
                self.serial += 1;
                self.net.rebind(host, 20_000 + (self.serial % 30_000) as u16);
            }
            Deed::Move(host) => self.wander(host),
            Deed::Forget(host) => {
                if let Some(nat) = self.nats.get(&host) {
                    self.net.nat(*nat).forget();
                }
            }
            Deed::Road(from, to, machines) => self.lay(from, to, &machines),
            Deed::Dark(from, to, time) => self.darken(from, to, time),
            Deed::Part(apart, time) => self.part(apart, time),
            Deed::Block(host, time) => {
                self.net.block(host, UDP, true);
                self.later(time, Deed::Unblock(host));
            }
            Deed::Unblock(host) => self.net.block(host, UDP, false),
            Deed::Sleep(host, time) => {
                self.net.sleep(host, true);
                self.later(time, Deed::Wake(host));
            }
            Deed::Wake(host) => self.net.sleep(host, false),
            Deed::Pause(host, time) => {
                self.net.pause(host, true);
                self.later(time, Deed::Resume(host));
            }
            Deed::Resume(host) => self.net.pause(host, false),
            Deed::SendsFail(host, count) => self.net.host(host).sending.fails = count,
            Deed::SendsFull(host, rate, time) => {
                let sending = &mut self.net.host(host).sending;
                (sending.full, sending.full_for) = (rate, time);
            }
            Deed::Break(edge) => self.hang_up(edge),
            Deed::Swallow(edge) => self.swallow(edge),
            Deed::Cross(from, to, time) => {
                let road = |ends| self.roads.get(&ends).cloned().unwrap_or_default();
                let (mut forth, back) = (road((from, to)), road((to, from)));
                // Its own line is the bottleneck where the road has none: else it would never rest.
                forth.insert(0, self.net.place(Queue::packets(OWN_LINE, 100)));
                self.flows.push(self.net.cross_traffic(&forth, &back));
                self.later(time, Deed::Uncross(self.flows.len() - 1));
            }
            Deed::Uncross(flow) => _ = self.net.stop_cross_traffic(self.flows[flow]),
            _ => {}
        }
    }

    fn open(&mut self, host: HostId, edge: usize, dir: Dir, far: bool, len: usize) {
        let Some(handle) = self.handle(edge, host) else { return };
        self.salt += 1;
        let salt = self.salt;
        let options = if far { onward(salt) } else { introduction(salt) };
        let Some(mut view) = self.net.host(host).endpoint.connection(handle) else { return };
        let Ok(stream) = view.open(dir, options) else { return };
        drop(view);
        let text = Text::new(host, self.plan.edges[edge].other(host), len as u64);
        self.texts.insert(salt, Text { onward: far, ..text });
        let app = &mut self.nodes[host.0].app;
        app.answer(&mut self.net, handle, stream, salt, len);
        if dir == Dir::Bi {
            app.expect(handle, stream, salt | ANSWER);
        }
    }

    fn reset(&mut self, host: HostId, pick: usize) {
        let app = &mut self.nodes[host.0].app;
        let Some(flow) = app.out.get_mut(pick) else { return };
        let view = self.net.host(host).endpoint.connection(flow.connection);
        if let Some(mut view) = view
            && let Some(mut out) = view.send(flow.stream)
        {
            out.reset(AppCode(7));
            flow.stopped = true;
            self.given_up.insert(flow.salt);
        }
    }

    fn stop(&mut self, host: HostId, pick: usize) {
        let app = &mut self.nodes[host.0].app;
        let Some(flow) = app.inn.get_mut(pick) else { return };
        let view = self.net.host(host).endpoint.connection(flow.connection);
        if let Some(mut view) = view
            && let Some(mut stream) = view.recv(flow.stream)
        {
            stream.stop(AppCode(8));
            flow.ignored = true;
            self.given_up.extend(flow.salt());
        }
    }

    fn sip(&mut self, host: HostId, most: u64) {
        self.nodes[host.0].app.read_some(&mut self.net, most);
        self.later(std::time::Duration::from_millis(100), Deed::Sip(host, most));
    }

    fn cancel(&mut self, host: HostId, pick: usize) {
        let node = &self.nodes[host.0];
        if let Some(pipe) = node.pipes.get(pick)
            && let Some(mut pipe) = self.net.host(host).endpoint.piped(*pipe)
        {
            pipe.cancel(AppCode(9));
        }
    }

    fn close(&mut self, host: HostId, edge: usize) {
        let Some(handle) = self.handle(edge, host) else { return };
        let now = self.net.local(host);
        let abort = self.dice.one_in(2);
        if let Some(mut view) = self.net.host(host).endpoint.connection(handle) {
            match abort {
                true => view.abort(AppCode(5), b"enough", now),
                false => view.close(AppCode(6), b"enough, in time"),
            }
        }
    }

    fn wander(&mut self, host: HostId) {
        let addr = self.net.host(host).addr;
        if let SocketAddr::V4(mut addr) = addr
            && !self.nats.contains_key(&host)
        {
            let [a, _, c, d] = addr.ip().octets();
            self.serial += 1;
            addr.set_ip([a, (self.serial % 200) as u8 + 1, c, d].into());
            self.net.move_to(host, addr.into());
        }
    }

    fn restart(&mut self, host: HostId) {
        self.forget_notes(host);
        self.forget_texts(host);
        self.attempts.retain(|(dialer, _)| *dialer != host);
        self.serial += 1;
        let plan = &self.plan.nodes[host.0];
        let node = Node::new(host, plan.begins_reading(), plan.pipes);
        self.net.restart(host, plan.config(host), self.plan.seed << 8 | self.serial << 40 | 1);
        let before = std::mem::replace(&mut self.nodes[host.0], node);
        verdict::judge_ends(&before.app, &self.texts);
        self.bytes += before.app.read();
        for (number, edge) in self.plan.edges.clone().iter().enumerate() {
            if edge.dialer == host || edge.acceptor == host {
                self.hang_up(number);
            }
            if edge.dialer == host {
                self.lines[number].at[0] = None;
                self.later(std::time::Duration::from_millis(10), Deed::Dial(number));
            } else if edge.acceptor == host {
                self.lines[number].at[1] = None;
            }
        }
    }

    /// A datagram that somebody listened to comes again, from anywhere, perhaps changed.
    fn replay(&mut self, host: HostId, luck: u64) {
        let mut dice = Dice::new(luck, "replay");
        let to = self.net.host(host).addr;
        let heard = self.net.recording.as_ref().map_or(0, Vec::len);
        for _ in 0..1 + dice.below(20) {
            let pick = dice.below(heard as u64) as usize;
            let Some(recorded) = self.net.recording.as_ref().and_then(|all| all.get(pick)) else {
                return;
            };
            let recorded = recorded.clone();
            let mut bytes = recorded.bytes.clone();
            if dice.one_in(3) {
                let bit = dice.below(bytes.len() as u64 * 8) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            if dice.one_in(6) {
                bytes.truncate(dice.below(bytes.len() as u64 + 1) as usize);
            }
            let nowhere = SocketAddr::from(([203, 0, 113, dice.below(250) as u8], 9));
            let from = if dice.one_in(2) { nowhere } else { recorded.from };
            self.net.repeat(&recorded, from, to, bytes);
        }
    }

    /// What went to it comes again, however much has come since.
    fn recall(&mut self, host: HostId) {
        let to = self.net.host(host).addr;
        for recorded in self.history.iter().filter(|recorded| recorded.to == to) {
            self.net.inject(recorded.from, to, recorded.bytes.clone());
        }
    }

    fn garbage(&mut self, host: HostId, luck: u64) {
        let mut dice = Dice::new(luck, "garbage");
        let to = self.net.host(host).addr;
        for _ in 0..1 + dice.below(40) {
            let len = dice.pick(&[0, 1, 12, 13, 29, 30, 60, 1_200, 1_400]);
            let bytes = (0..len).map(|_| dice.next() as u8).collect();
            let from = SocketAddr::from(([203, 0, 113, dice.below(250) as u8], 9));
            self.net.inject(from, to, bytes);
        }
    }

    fn forget_old_datagrams(&mut self) {
        let Some(recording) = &mut self.net.recording else { return };
        let old = recording.len().saturating_sub(REMEMBERED);
        for recorded in recording.drain(..old) {
            self.heard += 1;
            if self.heard.is_multiple_of(EACH) {
                self.history.push_back(recorded);
            }
        }
        let old = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..old);
    }
}
