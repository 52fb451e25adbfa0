//! Both providers.
