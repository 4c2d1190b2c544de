//! What the agent itself takes: the standard `process_*` metrics.

use procfs::{
    ProcResult, WithCurrentSystemInfo,
    process::{LimitValue, Process},
};

use super::text::{Kind, Page};

/// What the agent itself takes, now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProcessMetrics {
    /// Seconds on a processor, in user and in kernel mode.
    pub cpu_seconds: f64,
    /// Bytes in memory.
    pub resident_bytes: u64,
    /// Bytes of address space.
    pub virtual_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// The most there may be; none where there is no limit.
    pub max_fds: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// When it started, in seconds since the Unix epoch.
    pub start_seconds: f64,
}

impl ProcessMetrics {
    /// Reads them from /proc.
    ///
    /// # Errors
    /// If /proc cannot be read.
    pub fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let max_fds = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(n) => Some(n),
            LimitValue::Unlimited => None,
        };
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            open_fds: process.fd_count()? as u64,
            max_fds,
            threads: stat.num_threads.unsigned_abs(),
            start_seconds: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
        })
    }

    pub(super) fn encode(&self, page: &mut Page) {
        page.family("process_cpu_seconds", Kind::Counter, "Time on a processor, in seconds.");
        page.sample(&[], self.cpu_seconds);
        page.family("process_resident_memory_bytes", Kind::Gauge, "Memory in use, in bytes.");
        page.sample(&[], self.resident_bytes);
        page.family("process_virtual_memory_bytes", Kind::Gauge, "Address space in use, in bytes.");
        page.sample(&[], self.virtual_bytes);
        page.family("process_open_fds", Kind::Gauge, "Open file descriptors.");
        page.sample(&[], self.open_fds);
        if let Some(max) = self.max_fds {
            page.family("process_max_fds", Kind::Gauge, "File descriptors that may be open.");
            page.sample(&[], max);
        }
        page.family("process_threads", Kind::Gauge, "Threads.");
        page.sample(&[], self.threads);
        page.family("process_start_time_seconds", Kind::Gauge, "When the agent started, in seconds since the epoch.");
        page.sample(&[], self.start_seconds);
    }
}
