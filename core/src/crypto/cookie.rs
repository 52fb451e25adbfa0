//! Retry cookies.
