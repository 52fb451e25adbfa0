//! How long a key may live.
