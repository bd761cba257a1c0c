//! What requests cost the server: CPU time and memory from `/proc`, syncs from its own counters or from strace.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use crate::child::Started;
use crate::client::connect;
use crate::error::BenchError;

/// Counters whose sum is the number of fdatasyncs.
const SYNC_COUNTERS: &[&str] = &["raft_wal_syncs", "datanode_container_syncs"];

/// The server's processes and listeners.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    pub(crate) pids: Vec<u32>,
    pub(crate) metrics: Vec<String>,
    pub(crate) strace: bool,
}

/// What was spent between two moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// User and system, of all processes together.
    pub(crate) cpu_seconds: Option<f64>,
    pub(crate) syncs: Option<u64>,
    /// Steps of the server's storage to another place in a table: what a listing should cost by prefixes, not by keys.
    pub(crate) seeks: Option<u64>,
    /// Resident memory at the end, and at its highest since the start of the process.
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) rss_peak_bytes: Option<u64>,
}

/// A measurement under way.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    server: &'a Server,
    cpu_before: Option<f64>,
    counters_before: Option<BTreeMap<String, f64>>,
    strace: Option<Strace>,
}

impl Server {
    pub(crate) async fn start_measuring(&self) -> Result<Meter<'_>, BenchError> {
        let strace = match self.strace {
            true => Some(Strace::attach(&self.pids)?),
            false => None,
        };
        let counters_before = self.counters().await?;
        Ok(Meter { server: self, cpu_before: self.cpu_seconds()?, counters_before, strace })
    }

    fn cpu_seconds(&self) -> Result<Option<f64>, BenchError> {
        let mut ticks = 0;
        for pid in &self.pids {
            ticks += cpu_ticks(&read_proc(*pid, "stat")?).ok_or_else(|| unreadable(*pid, "stat"))?;
        }
        if self.pids.is_empty() {
            return Ok(None);
        }
        Ok(Some(ticks as f64 / ticks_per_second()?))
    }

    fn memory(&self, field: &str) -> Result<Option<u64>, BenchError> {
        let mut bytes = 0;
        for pid in &self.pids {
            bytes += memory_field(&read_proc(*pid, "status")?, field).ok_or_else(|| unreadable(*pid, "status"))?;
        }
        Ok((!self.pids.is_empty()).then_some(bytes))
    }

    /// All counters of all listeners, by name, labels summed up.
    async fn counters(&self) -> Result<Option<BTreeMap<String, f64>>, BenchError> {
        let mut sums = BTreeMap::new();
        for url in &self.metrics {
            for (name, value) in parse_counters(&scrape(url).await?) {
                *sums.entry(name).or_insert(0.0) += value;
            }
        }
        Ok((!self.metrics.is_empty()).then_some(sums))
    }
}

impl Meter<'_> {
    pub(crate) async fn finish(self) -> Result<Cost, BenchError> {
        let cpu_after = self.server.cpu_seconds()?;
        let counted = match (self.counters_before, self.server.counters().await?) {
            (Some(before), Some(after)) => Some((before, after)),
            _ => None,
        };
        let grown = |wanted: &dyn Fn(&str) -> bool| {
            let (before, after) = counted.as_ref()?;
            let matching: Vec<_> = after.iter().filter(|(name, _)| wanted(name)).collect();
            let growth = |(name, value): &(&String, &f64)| **value - before.get(*name).copied().unwrap_or_default();
            (!matching.is_empty()).then(|| matching.iter().map(growth).sum::<f64>().max(0.0) as u64)
        };
        let syncs = match self.strace {
            Some(strace) => Some(strace.detach().await?),
            None => grown(&|name| SYNC_COUNTERS.contains(&base(name))),
        };
        Ok(Cost {
            cpu_seconds: cpu_after.zip(self.cpu_before).map(|(after, before)| after - before),
            syncs,
            seeks: grown(&|name| base(name).ends_with("seeks")),
            rss_bytes: self.server.memory("VmRSS:")?,
            rss_peak_bytes: self.server.memory("VmHWM:")?,
        })
    }
}

/// The kernel's unit of CPU time.
fn ticks_per_second() -> Result<f64, BenchError> {
    let output = Command::new("getconf").arg("CLK_TCK").output().map_err(BenchError::io("running getconf"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| BenchError::Unexpected(format!("getconf CLK_TCK says {text}")))
}

fn read_proc(pid: u32, file: &str) -> Result<String, BenchError> {
    let path = PathBuf::from(format!("/proc/{pid}/{file}"));
    std::fs::read_to_string(&path).map_err(|source| BenchError::File { attempt: "reading", path, source })
}

fn unreadable(pid: u32, file: &str) -> BenchError {
    BenchError::Unexpected(format!("/proc/{pid}/{file} is not as it used to be"))
}

/// utime and stime. The name before them, in parentheses, may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn memory_field(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// What a series counts: of a histogram, its sum.
fn base(name: &str) -> &str {
    name.strip_suffix("_total").or_else(|| name.strip_suffix("_sum")).unwrap_or(name)
}

/// Prometheus's text form: a name, labels perhaps, a value. A histogram's quantiles count nothing.
fn parse_counters(text: &str) -> impl Iterator<Item = (String, f64)> {
    let counts = |line: &&str| !line.starts_with('#') && !line.contains("quantile=\"");
    text.lines().filter(counts).filter_map(|line| {
        let (name_and_labels, value) = line.trim().rsplit_once(' ')?;
        let name = name_and_labels.split('{').next()?;
        Some((name.to_owned(), value.parse().ok()?))
    })
}

async fn scrape(url: &str) -> Result<String, BenchError> {
    let rest = url.strip_prefix("http://").ok_or_else(|| BenchError::Usage(format!("{url} is not an http:// URL")))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, "metrics"));
    let request = Request::get(format!("/{path}")).header(http::header::HOST, host).body(Full::new(Bytes::new()))?;
    let response = connect(host).await?.send_request(request).await?;
    if !response.status().is_success() {
        return Err(BenchError::Unexpected(format!("{url} answered {}", response.status())));
    }
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Strace, attached to the server.
#[derive(Debug)]
struct Strace {
    child: Started,
    log: PathBuf,
}

impl Strace {
    fn attach(pids: &[u32]) -> Result<Self, BenchError> {
        if pids.is_empty() {
            return Err(BenchError::Usage("--strace needs --server or --server-pid".to_owned()));
        }
        let log = std::env::temp_dir().join(format!("trioxide-bench-{}.strace", std::process::id()));
        let mut command = Command::new("strace");
        command.args(["-f", "-e", "trace=fsync,fdatasync,sync_file_range", "-o"]).arg(&log);
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
        }
        let mut child = Started::start(command.stdin(Stdio::null()).stderr(Stdio::piped()))?;
        // It says so, once for each process, when it is attached.
        if let Some(stderr) = child.take_stderr() {
            let mut lines = BufReader::new(stderr).lines();
            for _ in pids {
                let line = lines.next().transpose().map_err(BenchError::io("hearing from strace"))?.unwrap_or_default();
                if !line.contains("attached") {
                    return Err(BenchError::Unexpected(line));
                }
            }
            // What else it says is of no interest, but it may not block on saying it.
            std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        }
        Ok(Self { child, log })
    }

    async fn detach(mut self) -> Result<u64, BenchError> {
        self.child.signal("INT")?;
        if self.child.end_within(Duration::from_secs(10)).await?.is_none() {
            return Err(BenchError::Unexpected("strace does not end".to_owned()));
        }
        let log = std::fs::read_to_string(&self.log);
        let text = log.map_err(|source| BenchError::File { attempt: "reading", path: self.log.clone(), source })?;
        let _ = std::fs::remove_file(&self.log);
        Ok(count_syncs(&text))
    }
}

/// A call that was interrupted shows twice, the second time as resumed.
fn count_syncs(strace: &str) -> u64 {
    let is_sync = |line: &&str| line.contains("fdatasync(") || line.contains(" fsync(") || line.contains("sync_file_range(");
    strace.lines().filter(is_sync).filter(|line| !line.contains("resumed>")).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_found_behind_any_process_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1000 1 1";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("nonsense"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\ttrioxide\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n";
        assert_eq!(memory_field(status, "VmRSS:"), Some(1024 * 1024));
        assert_eq!(memory_field(status, "VmSwap:"), None);
    }

    #[test]
    fn counters_are_read_with_and_without_labels() {
        let text = "# TYPE raft_wal_syncs counter\nraft_wal_syncs{disk=\"a b\"} 7\nraft_wal_syncs 3\n\nup 1\nbroken\n";
        let counters: Vec<_> = parse_counters(text).collect();
        let named = |name: &str, value| (name.to_owned(), value);
        assert_eq!(counters, [named("raft_wal_syncs", 7.0), named("raft_wal_syncs", 3.0), named("up", 1.0)]);
    }

    #[test]
    fn a_histogram_counts_by_its_sum() {
        let text = "list_seeks{quantile=\"0.5\"} 11\nlist_seeks_sum 110\nlist_seeks_count 10\n";
        let seeks: Vec<_> = parse_counters(text).filter(|(name, _)| base(name).ends_with("seeks")).collect();
        assert_eq!(seeks, [("list_seeks_sum".to_owned(), 110.0)]);
    }

    #[test]
    fn syncs_are_counted_once_though_strace_shows_them_twice() {
        let log = "10 fdatasync(7 <unfinished ...>\n11 fsync(8) = 0\n10 <... fdatasync resumed>) = 0\n10 fdatasync(7) = 0\n";
        assert_eq!(count_syncs(log), 3);
    }
}
