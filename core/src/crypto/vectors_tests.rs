//! Where published vectors are found.
