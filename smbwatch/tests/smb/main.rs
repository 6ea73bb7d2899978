//! Dialogues from whole streams: real captures, messages made by hand, and hostile ones.

mod build;
mod capture;
mod captures;
mod messages;
mod hostile;
mod secrets;
