//! Curves, bursts and undo.
