//! The house rules as tests: arrows between rooms, sizes of files and functions, requirement ids.

mod arrows;
mod doors;
mod lessons;
mod queues;
mod requirements;
mod sizes;
mod source;
