//! Dialogues from whole streams: real captures, messages made by hand, and hostile ones.

mod capture;
mod captures;
