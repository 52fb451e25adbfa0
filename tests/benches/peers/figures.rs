//! Rounds of several contestants, interleaved; medians with their range, and ratios round by round.

use serde_json::{Map, Value, json};

/// Who takes part, and how one round of it is measured: a value for each column, or `NAN` where it
/// has none.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) round: Box<dyn FnMut() -> Vec<f64>>,
}

impl Contestant {
    pub(crate) fn new(name: &'static str, round: impl FnMut() -> Vec<f64> + 'static) -> Self {
        Self { name, round: Box::new(round) }
    }
}

/// How often, and who takes part.
#[derive(Clone)]
pub(crate) struct Rounds {
    pub(crate) count: u64,
    /// Nobody else than who has this name: for a profiler.
    pub(crate) only: Option<String>,
}

/// What all rounds of a case gave.
pub(crate) struct Figures {
    title: String,
    columns: &'static [&'static str],
    names: Vec<&'static str>,
    /// By contestant, by round, by column.
    values: Vec<Vec<Vec<f64>>>,
}

/// Least, median and most of what is a number.
fn spread(values: impl Iterator<Item = f64>) -> Option<[f64; 3]> {
    let mut all: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    Some([*all.first()?, *all.get(middle)?, *all.last()?])
}

fn text(spread: Option<[f64; 3]>) -> String {
    let Some([least, median, most]) = spread else { return "-".to_owned() };
    let digits = if median.abs() < 10.0 { 2 } else { 0 };
    format!("{median:.digits$} ({least:.digits$} to {most:.digits$})")
}

impl Figures {
    /// Measures `contestants` in turn.
    ///
    /// # Panics
    /// Nobody has the name of who alone is to take part.
    pub(crate) fn measure(
        title: String,
        columns: &'static [&'static str],
        rounds: &Rounds,
        mut contestants: Vec<Contestant>,
    ) -> Self {
        let Rounds { count: rounds, only } = rounds;
        if let Some(only) = only {
            let names: Vec<_> = contestants.iter().map(|contestant| contestant.name).collect();
            contestants.retain(|contestant| contestant.name == only);
            assert!(!contestants.is_empty(), "{title}: nobody is named {only:?} of {names:?}");
        }
        let mut values = vec![Vec::new(); contestants.len()];
        for number in 0..*rounds {
            for (contestant, values) in contestants.iter_mut().zip(&mut values) {
                eprint!("\r{title}: round {} of {rounds}, {:<16}", number + 1, contestant.name);
                values.push((contestant.round)());
            }
        }
        eprintln!();
        let names = contestants.iter().map(|contestant| contestant.name).collect();
        Self { title, columns, names, values }
    }

    fn of(&self, who: usize, column: usize) -> Option<[f64; 3]> {
        spread(self.values[who].iter().map(|round| round[column]))
    }

    /// The first contestant's value as a part of another's, by rounds.
    fn ratio(&self, other: usize, column: usize) -> Option<[f64; 3]> {
        let rounds = self.values[0].iter().zip(&self.values[other]);
        spread(rounds.map(|(ours, theirs)| ours[column] / theirs[column]))
    }

    /// A row for each contestant, then the first one's ratio to each of the others.
    pub(crate) fn table(&self) {
        let rounds = self.values.first().map_or(0, Vec::len);
        println!("{}; median (least to most) of {rounds} rounds", self.title);
        let columns = || 0..self.columns.len();
        self.row("", self.columns.iter().map(|name| (*name).to_owned()));
        for (who, name) in self.names.iter().enumerate() {
            self.row(name, columns().map(|column| text(self.of(who, column))));
        }
        for (who, name) in self.names.iter().enumerate().skip(1) {
            let cells = columns().map(|column| text(self.ratio(who, column)));
            self.row(&format!("{} / {name}", self.names[0]), cells);
        }
        println!();
    }

    fn row(&self, name: &str, cells: impl Iterator<Item = String>) {
        print!("{name:<26}");
        cells.for_each(|cell| print!("{cell:>27}"));
        println!();
    }

    /// The same as an object.
    pub(crate) fn json(&self) -> Value {
        let cells = |of: &dyn Fn(usize) -> Option<[f64; 3]>| -> Value {
            let cells = self.columns.iter().enumerate().map(|(at, name)| {
                let cell = of(at)
                    .map(|[min, median, max]| json!({ "min": min, "median": median, "max": max }));
                ((*name).to_owned(), cell.unwrap_or(Value::Null))
            });
            cells.collect::<Map<_, _>>().into()
        };
        let each = |first: usize, of: &dyn Fn(usize, usize) -> Option<[f64; 3]>| -> Value {
            let names = self.names.iter().enumerate().skip(first);
            let rows =
                names.map(|(who, name)| ((*name).to_owned(), cells(&|column| of(who, column))));
            rows.collect::<Map<_, _>>().into()
        };
        json!({
            "case": self.title,
            "rounds": self.values.first().map_or(0, Vec::len),
            "peers": each(0, &|who, column| self.of(who, column)),
            "ratios": each(1, &|who, column| self.ratio(who, column)),
        })
    }
}
