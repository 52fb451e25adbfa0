//! Connection ids that need no table.
