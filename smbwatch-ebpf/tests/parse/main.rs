//! Tables of headers, right and malformed, one file for each header.

mod ethernet;
mod ipv4;
mod ipv6;
mod reply;
mod smb;
mod tcp;
