//! What must hold in every state, and at every end.

use aqueduct_core::connection::{SendLimit, Spent, Witness};
use aqueduct_core::error::{CloseReason, StreamCode};
use aqueduct_core::wire::id::Side;

use crate::app::{App, End, In, Link};
use crate::world::{PORT, World};

/// A kind of thing that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// Nothing panics, asserts of the core included.
    Sound,
    /// Deadlines lie in the future, and a node comes to rest.
    Clock,
    /// No nonce is used twice: a connection's packet numbers only grow.
    Nonce,
    /// Nobody spends what was not granted, and nobody gets what was not sent.
    Credit,
    /// No end is a phase ahead of what the other acknowledged, or behind what it got.
    Phases,
    /// Texts arrive once, in order, exact, with nothing after their end.
    Texts,
    /// Who answered and is told of a connection has a peer that has the same one; and both ends
    /// tell one story in the end.
    Agree,
    /// Nobody waits for ever, and everything ends.
    Ends,
    /// What is over leaves nothing behind.
    Traces,
}

/// All of them.
pub(crate) const RULES: [Rule; 9] = [
    Rule::Sound,
    Rule::Clock,
    Rule::Nonce,
    Rule::Credit,
    Rule::Phases,
    Rule::Texts,
    Rule::Agree,
    Rule::Ends,
    Rule::Traces,
];

/// What did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Broken {
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

/// Transport-made resets: a relay's word that something broke off.
fn is_transport(code: u64) -> bool {
    code >= StreamCode::BASE
}

impl World {
    /// Looks at this state.
    pub(crate) fn look(&mut self) {
        let accounts = self.accounts();
        self.returned |= accounts.iter().any(|(.., witness)| witness.returned > 0);
        let checks = [
            self.check_apps(),
            self.check_accounts(&accounts),
            self.check_links(),
            self.check_memory(),
        ];
        for broken in checks.into_iter().flatten() {
            self.object(broken.rule, || broken.what);
        }
    }

    /// Every living connection's account, by node; and notes their hashes.
    fn accounts(&mut self) -> Vec<([u8; 32], usize, Witness)> {
        let mut accounts = Vec::new();
        for (node, host) in self.hosts.iter_mut().enumerate() {
            for link in &mut host.app.links {
                let Some(view) = host.endpoint.connection(link.handle) else { continue };
                let Some(hash) = view.handshake_hash() else { continue };
                link.hash = Some(hash);
                link.answers = view.side() == Side::Responder;
                let limit = view.stats().limited_by;
                self.starved |=
                    matches!(limit, SendLimit::StreamCredit | SendLimit::ConnectionCredit);
                self.followed |= view.remote().port() != PORT;
                accounts.push((hash, node, view.witness()));
            }
        }
        accounts
    }

    fn check_apps(&self) -> Option<Broken> {
        let amazed = self.hosts.iter().find_map(|host| host.app.amazed.clone());
        if let Some(what) = amazed {
            return Some(Broken { rule: Rule::Texts, what });
        }
        let texts = self.hosts.iter().flat_map(|host| &host.app.inn);
        let wrong = texts.into_iter().find(|text| !self.holds(text))?;
        let out = self.out(wrong.salt);
        Some(Broken { rule: Rule::Texts, what: format!("{wrong:?} of {out:?}") })
    }

    fn out(&self, salt: u8) -> Option<&crate::app::Out> {
        self.hosts.iter().find_map(|host| host.app.sent(salt))
    }

    /// Whether a text here is what its sender made of it.
    fn holds(&self, text: &In) -> bool {
        let Some(out) = self.out(text.salt) else { return false };
        match text.end {
            _ if text.read > out.written => false,
            Some(End::Finished) => out.finished && text.read == out.written,
            Some(End::Reset(code)) => out.reset == Some(code) || is_transport(code),
            Some(End::Stopped) | None => true,
        }
    }

    fn check_accounts(&self, accounts: &[([u8; 32], usize, Witness)]) -> Option<Broken> {
        for (hash, node, mine) in accounts {
            let peer = accounts.iter().find(|(h, n, _)| h == hash && n != node);
            let Some((.., theirs)) = peer else { continue };
            for spent in &mine.spent {
                if let Some(what) = overdrawn(spent, theirs) {
                    let what = format!("node {node}: {what}");
                    return Some(Broken { rule: Rule::Credit, what });
                }
            }
            if let (Some((sent, _)), Some((_, got))) = (mine.phases, theirs.phases)
                && !(got..=got + 1).contains(&sent)
            {
                let what = format!("node {node} sends in phase {sent}, its peer got {got}");
                return Some(Broken { rule: Rule::Phases, what });
            }
        }
        None
    }

    fn check_links(&self) -> Option<Broken> {
        for (node, host) in self.hosts.iter().enumerate() {
            // Who began may be told before the peer has the keys too.
            for link in host.app.links.iter().filter(|link| link.connected && link.answers) {
                let peers = self.hosts.iter().enumerate().filter(|(other, _)| *other != node);
                let mut links = peers.flat_map(|(_, host)| &host.app.links);
                if link.hash.is_none() || !links.any(|other| other.hash == link.hash) {
                    let what = format!("node {node} is connected to nobody: {link:?}");
                    return Some(Broken { rule: Rule::Agree, what });
                }
            }
        }
        None
    }

    fn check_memory(&self) -> Option<Broken> {
        let stats = self.hosts.iter().map(|host| host.endpoint.stats());
        let over = stats.into_iter().find(|s| s.budget_committed > s.budget_total)?;
        Some(Broken { rule: Rule::Credit, what: format!("beyond the budget: {over:?}") })
    }

    /// What holds at the end of every world: all scripts are done and nothing is left.
    pub(crate) fn check_end(&self) -> Result<(), Broken> {
        for (node, host) in self.hosts.iter().enumerate() {
            if !host.app.is_done() {
                let what = format!("node {node} waits for ever: {:?}", host.app.at());
                return Err(Broken { rule: Rule::Ends, what });
            }
            let stats = host.endpoint.stats();
            let left = (stats.connections, stats.half_open, stats.pipes, stats.budget_committed);
            let undrained = host.app.links.iter().find(|link| !link.drained);
            if left != (0, 0, 0, 0) || undrained.is_some() {
                let what = format!("node {node}: {left:?}, {undrained:?}");
                return Err(Broken { rule: Rule::Traces, what });
            }
        }
        Ok(())
    }

    /// Connections that were really there, as pairs of what both ends say of them.
    pub(crate) fn pairs(&self) -> Vec<[&Link; 2]> {
        let mut pairs = Vec::new();
        for (node, host) in self.hosts.iter().enumerate() {
            for link in host.app.links.iter().filter(|link| link.hash.is_some()) {
                let later = self.hosts.iter().skip(node + 1).flat_map(|other| &other.app.links);
                let peers = later.filter(|other| other.hash == link.hash);
                pairs.extend(peers.map(|other| [link, other]));
            }
        }
        pairs
    }

    /// Both ends of every connection tell the same story of how it ended. Only who heard none of
    /// the three CLOSEs may have waited in vain.
    pub(crate) fn check_stories(&self) -> Result<(), String> {
        for [one, other] in self.pairs() {
            let said = |link: &Link| match &link.closed {
                Some(CloseReason::Local(code)) => Some(code.0),
                _ => None,
            };
            let heard = |link: &Link, code: u64| match &link.closed {
                Some(CloseReason::Peer { code: heard, .. }) => heard.0 == code,
                Some(CloseReason::Local(_)) => true,
                _ => self.dropped >= 3,
            };
            let fine = match (said(one), said(other)) {
                (Some(code), _) if !heard(other, code) => false,
                (_, Some(code)) if !heard(one, code) => false,
                (None, None) => self.dropped >= 3,
                _ => true,
            };
            if !fine {
                return Err(format!("{:?} and {:?}", one.closed, other.closed));
            }
        }
        Ok(())
    }

    /// A text came over whole, and its sender knows.
    pub(crate) fn check_whole(&self, node: usize, salt: u8) -> Result<(), String> {
        let out = self.out(salt);
        match out.is_some_and(|out| out.delivered) {
            true => self.check_end_of(node, salt, &[End::Finished]),
            false => Err(format!("nobody told the sender: {out:?}")),
        }
    }

    /// A text ended at a node as one of these.
    pub(crate) fn check_end_of(&self, node: usize, salt: u8, ends: &[End]) -> Result<(), String> {
        let text = self.app(node).received(salt);
        match text.and_then(|text| text.end).is_some_and(|end| ends.contains(&end)) {
            true => Ok(()),
            false => Err(format!("at {node}: {text:?}, not {ends:?}")),
        }
    }

    /// The sender of a text heard that it is not wanted, or had sent all of it before.
    pub(crate) fn check_settled(&self, salt: u8) -> Result<(), String> {
        let out = self.out(salt);
        match out.is_some_and(|out| out.delivered || out.stopped) {
            true => Ok(()),
            false => Err(format!("{out:?}")),
        }
    }

    /// Key updates that a node began, and that it followed.
    pub(crate) fn updates(&self, node: usize) -> (u64, u64) {
        let keys = self.hosts.get(node).expect("a node").endpoint.totals().keys;
        (keys.updates_started, keys.updates_followed)
    }

    /// A node's application.
    pub(crate) fn app(&self, node: usize) -> &App {
        &self.hosts.get(node).expect("a node").app
    }
}

/// What a sender did that its receiver did not allow.
fn overdrawn(spent: &Spent, receiver: &Witness) -> Option<String> {
    let granted = receiver.granted.iter().find(|granted| granted.id == spent.id)?;
    // Of a stream that has an end the rest is no credit any more.
    let ended = spent.id.is_some() && granted.used == granted.limit;
    let holds = (spent.limit <= granted.limit || (ended && spent.used <= granted.limit))
        && granted.used <= spent.used
        && (spent.id.is_none() || spent.used <= spent.limit);
    (!holds).then(|| format!("{spent:?} of {granted:?}"))
}
