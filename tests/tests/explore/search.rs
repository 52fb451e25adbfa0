//! The search itself: stateright walks through a world, move by move deeper.

use std::fs::OpenOptions;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::rules::{Broken, RULES, Rule};
use crate::world::{Step, World};

/// What must be at the end of a world, beside what holds for all.
pub(crate) type Agree = fn(&World) -> Result<(), String>;

/// The property that something comes about.
const RARE: &str = "comes about";

/// What became of a search.
struct Searched {
    found: Option<Found>,
    /// All of it was done.
    whole: bool,
    /// What the scenario is made for came about.
    rare: bool,
}

/// A world to be explored.
#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) start: World,
    pub(crate) agree: Agree,
    /// What the scenario is made for: it must come about at some end.
    rare: fn(&World) -> bool,
    /// What it says does not hold for more moves than these.
    deepest: u8,
    /// When it is enough.
    until: Option<Instant>,
    /// The search is over: what it found is walked through once more, however long that takes.
    over: Arc<AtomicBool>,
}

/// What a search found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) broken: Broken,
    pub(crate) steps: Vec<Step>,
    /// Moves of the adversary among them.
    pub(crate) moves: usize,
}

impl Model for Scenario {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![self.start.clone()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let in_time = self.until.is_none_or(|until| Instant::now() < until);
        if in_time || self.over.load(Ordering::Relaxed) {
            world.steps(steps);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let after = catch_unwind(AssertUnwindSafe(|| world.after(step)));
        let mut after = after.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref().map(|text: &&str| (*text).to_owned()));
            let mut world = world.clone();
            world.object(Rule::Sound, || format!("{step:?}: {text:?}"));
            world
        });
        if after.broken.is_none() && after.is_over() {
            let agreed = (self.agree)(&after).map_err(|what| Broken { rule: Rule::Agree, what });
            if let Err(Broken { rule, what }) = after.check_end().and(agreed) {
                after.object(rule, || what);
            }
        }
        Some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn keeps(world: &World, rule: Rule) -> bool {
            world.broken.as_ref().is_none_or(|broken| broken.rule != rule)
        }
        RULES
            .into_iter()
            .map(|rule| match rule {
                Rule::Sound => Property::always("sound", |_, w| keeps(w, Rule::Sound)),
                Rule::Clock => Property::always("clock", |_, w| keeps(w, Rule::Clock)),
                Rule::Nonce => Property::always("nonce", |_, w| keeps(w, Rule::Nonce)),
                Rule::Credit => Property::always("credit", |_, w| keeps(w, Rule::Credit)),
                Rule::Phases => Property::always("phases", |_, w| keeps(w, Rule::Phases)),
                Rule::Texts => Property::always("texts", |_, w| keeps(w, Rule::Texts)),
                Rule::Agree => Property::always("agree", |_, w| keeps(w, Rule::Agree)),
                Rule::Ends => Property::always("ends", |_, w| keeps(w, Rule::Ends)),
                Rule::Traces => Property::always("traces", |_, w| keeps(w, Rule::Traces)),
            })
            .chain([Property::<Self>::sometimes(RARE, |scenario: &Self, w: &World| {
                w.broken.is_none() && w.is_over() && (scenario.rare)(w)
            })])
            .collect()
    }
}

impl Scenario {
    /// Explores `start`; at its ends `agree` must say so.
    pub(crate) fn new(name: &'static str, start: World, agree: Agree) -> Self {
        let (rare, deepest) = (|_: &World| true, u8::MAX);
        Self { name, start, agree, rare, deepest, until: None, over: Arc::default() }
    }

    /// With more moves than these it comes out otherwise, for a reason that is known.
    pub(crate) fn no_deeper_than(self, deepest: u8) -> Self {
        Self { deepest, ..self }
    }

    /// It shows nothing if this does not come about.
    pub(crate) fn made_for(self, rare: fn(&World) -> bool) -> Self {
        Self { rare, ..self }
    }

    /// Explores everything that an adversary with so many moves can do, at most for a time.
    fn search(mut self, moves: u8, limit: Option<Duration>) -> Searched {
        self.start.left = moves;
        let begun = Instant::now();
        let name = self.name;
        self.until = limit.map(|limit| begun + limit);
        self.over = Arc::default();
        let over = Arc::clone(&self.over);
        let checker = self.checker().finish_when(HasDiscoveries::AnyFailures);
        let checker = checker.spawn_dfs().join();
        over.store(true, Ordering::Relaxed);
        let whole = limit.is_none_or(|limit| begun.elapsed() < limit);
        tell(&format!(
            "explore {name}: {moves} moves, {} states, {} steps, {} deep, {:.2} s{}",
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            begun.elapsed().as_secs_f64(),
            if whole { "" } else { " (not all of it)" },
        ));
        let mut discoveries = checker.discoveries();
        let rare = discoveries.remove(RARE).is_some();
        let Some(path) = discoveries.into_values().next() else {
            return Searched { found: None, whole, rare };
        };
        let broken = path.last_state().broken.clone().expect("that is why");
        let steps = path.into_actions();
        let moves = moves_of(&steps);
        Searched { found: Some(Found { broken, steps, moves }), whole, rare }
    }

    /// Move by move deeper until something breaks, at most `moves`.
    pub(crate) fn find(&self, moves: u8) -> Option<Found> {
        (0..=moves).find_map(|moves| self.clone().search(moves, None).found)
    }

    /// Nothing breaks, whatever an adversary with so many moves does; or as many as the environment
    /// says (`AQUEDUCT_DEPTH`), or as fit into its time (`AQUEDUCT_SECONDS`).
    pub(crate) fn holds(&self, moves: u8) {
        let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        let depth = number("AQUEDUCT_DEPTH").and_then(|depth| u8::try_from(depth).ok());
        let budget = number("AQUEDUCT_SECONDS").map(Duration::from_secs);
        let begun = Instant::now();
        let most = depth.unwrap_or(if budget.is_some() { u8::MAX } else { moves });
        let most = most.min(self.deepest);
        let least = if budget.is_some() { moves.min(most) } else { most };
        for moves in least..=most {
            let left = budget.map(|budget| budget.saturating_sub(begun.elapsed()));
            let Searched { found, whole, rare } = self.clone().search(moves, left);
            if let Some(found) = found {
                panic!("{}", found.story(self.name));
            }
            if !whole {
                break;
            }
            assert!(rare, "{}: what it is made for does not come about", self.name);
        }
    }
}

/// Says what was seen; also to the end of the file that the environment names (`AQUEDUCT_SEEN`),
/// for who runs all tests and wants to know.
pub(crate) fn tell(line: &str) {
    println!("{line}");
    let Some(file) = std::env::var_os("AQUEDUCT_SEEN") else { return };
    let file = OpenOptions::new().create(true).append(true).open(file);
    file.and_then(|mut file| writeln!(file, "{line}")).expect("the file of what was seen");
}

impl Found {
    /// How it came about, a step a line.
    pub(crate) fn story(&self, name: &str) -> String {
        let Broken { rule, what } = &self.broken;
        let steps: String = self.steps.iter().map(|step| format!("    {step:?}\n")).collect();
        format!("{name}: {rule:?} after {} moves: {what}\n{steps}", self.moves)
    }
}

/// Moves of the adversary among these steps.
fn moves_of(steps: &[Step]) -> usize {
    let free = |step: &&Step| matches!(step, Step::Act(..) | Step::Tick | Step::Deliver { .. });
    steps.len() - steps.iter().filter(free).count()
}
