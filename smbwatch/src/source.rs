//! Where records come from.

pub mod ring;
pub mod compression;
pub mod capture;
pub mod ecs;
