//! Where records come from.

pub mod ring;
pub mod capture;
