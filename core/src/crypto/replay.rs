//! Each packet number once.
