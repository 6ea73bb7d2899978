//! What the tests share: labs, agents and peers.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of this")]

pub mod skip;
pub mod guard;
pub mod kernel;
pub mod lab;
pub mod stranger;
pub mod container;
pub mod peer;
pub mod heir;
pub mod packet_socket;
pub mod tap;
pub mod samba;
pub mod impacket;
pub mod agent;
pub mod alerts;
pub mod folder;
pub mod listener;
pub mod proxy;
pub mod server;
pub mod sasl;
pub mod broker;
pub mod otlp;
pub mod receivers;
pub mod pace;
pub mod ecs;
pub mod mapping;
pub mod crowd;
pub mod cell;
pub mod podman;
pub mod containerd;
pub mod cri;
pub mod capture;
pub mod scrape;
