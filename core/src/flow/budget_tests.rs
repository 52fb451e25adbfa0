//! Tests of `budget.rs`.
