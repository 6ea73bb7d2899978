//! What this process uses, under the names that Prometheus's client libraries share.

use std::fmt;

use procfs::process::Process as Proc;
use procfs::{CurrentSI as _, KernelStats, ProcResult};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Unit;

use super::writer::Families;

/// This process; what /proc does not tell is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let Ok(process) = Proc::myself() else { return Ok(()) };
        if let Ok(used) = Used::of(&process) {
            let seconds = Some(&Unit::Seconds);
            families.counter("process_cpu", "Time on a CPU.", seconds, [([], used.cpu)])?;
            families.gauge("process_start_time", "Start, since the epoch.", seconds, [([], used.started)])?;
            let bytes = Some(&Unit::Bytes);
            families.gauge("process_resident_memory", "Memory in use.", bytes, [([], used.resident)])?;
            families.gauge("process_virtual_memory", "Address space.", bytes, [([], used.address_space)])?;
            families.gauge("process_threads", "Threads.", None, [([], used.threads)])?;
        }
        // A process without root cannot list its own descriptors, since it leaves no core file (proc(5)).
        if let Ok(open) = process.fd_count() {
            families.gauge("process_open_fds", "Open file descriptors.", None, [([], open)])?;
        }
        Ok(())
    }
}

struct Used {
    cpu: f64,
    started: f64,
    resident: u64,
    address_space: u64,
    threads: i64,
}

impl Used {
    #[expect(clippy::cast_precision_loss, reason = "clock ticks are far below 2^52")]
    fn of(process: &Proc) -> ProcResult<Self> {
        let stat = process.stat()?;
        let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
        Ok(Self {
            cpu: seconds(stat.utime + stat.stime),
            started: KernelStats::current()?.btime as f64 + seconds(stat.starttime),
            resident: stat.rss * procfs::page_size(),
            address_space: stat.vsize,
            threads: stat.num_threads,
        })
    }
}
