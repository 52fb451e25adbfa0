//! The replay window.
