//! Who called `connect`.

use crate::wire::{Be32, Be64, wire};

wire! {
    /// The process that opened a socket, as the connect hook saw it. A `pid` of 0 means that none is known.
    pub struct Owner: 72 {
        /// Time of the call, CLOCK_MONOTONIC in nanoseconds.
        pub time: Be64,
        /// Identifier of the caller's cgroup v2.
        pub cgroup: Be64,
        /// Cookie of the socket's network namespace.
        pub netns: Be64,
        /// When the process started, CLOCK_BOOTTIME in nanoseconds; 0 where the kernel's layout is not known.
        pub started: Be64,
        /// How often it has called `execve`; with `pid` and `started` this tells its program from every other.
        pub execs: Be64,
        /// Process (thread group) identifier in the initial PID namespace.
        pub pid: Be32,
        /// Thread identifier in the initial PID namespace.
        pub tid: Be32,
        /// User identifier in the initial user namespace.
        pub uid: Be32,
        /// Group identifier in the initial user namespace.
        pub gid: Be32,
        /// Name of the calling thread, padded with zeros.
        pub comm: [u8; 16],
    }
}

impl Owner {
    /// No owner is known.
    pub const NONE: Self = Self {
        time: Be64::new(0),
        cgroup: Be64::new(0),
        netns: Be64::new(0),
        started: Be64::new(0),
        execs: Be64::new(0),
        pid: Be32::new(0),
        tid: Be32::new(0),
        uid: Be32::new(0),
        gid: Be32::new(0),
        comm: [0; 16],
    };

    /// Whether a process is known.
    pub const fn is_known(&self) -> bool {
        self.pid.get() != 0
    }
}
