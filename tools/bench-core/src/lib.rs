//! Nothing: this crate is its benches. See benches/core.rs.
