//! Where records come from.

pub mod ring;
