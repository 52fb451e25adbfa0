//! Aqueduct's harness: virtual networks, pairs, invariants
