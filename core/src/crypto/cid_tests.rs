//! Connection ids.
