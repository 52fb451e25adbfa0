//! One key per phase and direction.
