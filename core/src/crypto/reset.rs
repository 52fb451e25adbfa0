//! Stateless reset.
