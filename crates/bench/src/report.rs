//! What is printed: the machine and the commit, then a row a measurement.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::drive::Outcome;
use crate::error::BenchError;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    commit: String,
    started_unix: u64,
    target: String,
    rows: Vec<Row>,
    #[serde(skip)]
    form: Form,
}

/// For a person, or for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
}

#[derive(Debug, Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    memory_bytes: u64,
    kernel: String,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    scenario: String,
    clients: usize,
    requests: u64,
    seconds: f64,
    per_second: f64,
    megabytes_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    cpu_seconds_per_1000: Option<f64>,
    syncs_per_1000: Option<f64>,
    rss_mib: Option<f64>,
    rss_peak_mib: Option<f64>,
    /// What this scenario asks besides.
    findings: BTreeMap<&'static str, f64>,
    /// Where the order matters: one number a step, in milliseconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps_ms: Vec<f64>,
}

impl Report {
    /// Begins a report; as text it is printed as it grows, since a suite takes minutes.
    pub(crate) fn new(target: String, form: Form) -> Self {
        let started_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let report = Self { machine: Machine::this(), commit: commit(), started_unix, target, rows: Vec::new(), form };
        if form == Form::Text {
            let Machine { cpu, cores, memory_bytes, kernel } = &report.machine;
            let gib = *memory_bytes as f64 / (1 << 30) as f64;
            println!("machine   {cpu}, {cores} cores, {gib:.1} GiB, Linux {kernel}");
            println!("commit    {}", report.commit);
            println!("target    {}\n", report.target);
            println!("{}", Row::HEADER);
        }
        report
    }

    pub(crate) fn add(&mut self, row: Row) {
        match self.form {
            Form::Text => println!("{}", row.line()),
            Form::Json => eprintln!("{}: {:.0}/s", row.scenario, row.per_second),
        }
        self.rows.push(row);
    }

    pub(crate) fn finish(&self) -> Result<(), BenchError> {
        if self.form == Form::Json {
            println!("{}", serde_json::to_string_pretty(self)?);
        }
        Ok(())
    }
}

impl Row {
    const HEADER: &str = "scenario                       clients requests      /s     MB/s   p50 ms   p99 ms   max ms  \
                          cpu s/1000  syncs/1000  rss MiB  peak MiB";

    pub(crate) fn new(scenario: impl Into<String>, clients: usize, outcome: &Outcome) -> Self {
        let requests = outcome.latencies.len() as u64;
        let seconds = outcome.took.as_secs_f64();
        let per_1000 = |spent: f64| spent * 1000.0 / requests.max(1) as f64;
        let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
        Self {
            scenario: scenario.into(),
            clients,
            requests,
            seconds,
            per_second: requests as f64 / seconds,
            megabytes_per_second: outcome.bytes as f64 / 1e6 / seconds,
            p50_ms: millis(outcome.percentile(50.0)),
            p99_ms: millis(outcome.percentile(99.0)),
            max_ms: millis(outcome.percentile(100.0)),
            cpu_seconds_per_1000: outcome.cost.cpu_seconds.map(per_1000),
            syncs_per_1000: outcome.cost.syncs.map(|syncs| per_1000(syncs as f64)),
            rss_mib: outcome.cost.rss_bytes.map(mib),
            rss_peak_mib: outcome.cost.rss_peak_bytes.map(mib),
            findings: BTreeMap::new(),
            steps_ms: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, finding: &'static str, value: f64) -> Self {
        self.findings.insert(finding, value);
        self
    }

    pub(crate) fn with_steps(mut self, steps: &[Duration]) -> Self {
        self.steps_ms = steps.iter().copied().map(millis).collect();
        self
    }

    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.megabytes_per_second
    }

    fn line(&self) -> String {
        let optional = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
        let mut line = format!(
            "{:<30} {:>7} {:>8} {:>7.0} {:>8.1} {:>8.2} {:>8.2} {:>8.2}  {:>10}  {:>10}  {:>7}  {:>8}",
            self.scenario,
            self.clients,
            self.requests,
            self.per_second,
            self.megabytes_per_second,
            self.p50_ms,
            self.p99_ms,
            self.max_ms,
            optional(self.cpu_seconds_per_1000, 3),
            optional(self.syncs_per_1000, 1),
            optional(self.rss_mib, 0),
            optional(self.rss_peak_mib, 0),
        );
        for (finding, value) in &self.findings {
            line.push_str(&format!("\n    {finding}: {value:.2}"));
        }
        for (number, ten) in self.steps_ms.chunks(10).enumerate() {
            let ten: Vec<_> = ten.iter().map(|step| format!("{step:.1}")).collect();
            line.push_str(&format!("\n    {:>4}: {}", number * 10 + 1, ten.join(" ")));
        }
        line
    }
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

impl Machine {
    fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_once(':').map(|(_, value)| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kib = memory.as_deref().and_then(|value| value.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok());
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown cpu".to_owned()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_bytes: kib.unwrap_or_default() * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// Of the tree that this was started in, marked if it has changes.
fn commit() -> String {
    let output = std::process::Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}
