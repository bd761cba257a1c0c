//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures an S3 server: rate, latency, and what a request costs it.
///
/// Without a scenario, the whole suite. `--server target/release/trioxide` starts a fresh single-node server and ends it
/// afterwards; otherwise give the endpoint and keys of a running one.
#[derive(Debug, Parser)]
#[command(name = "trioxide-bench", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Everything as one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) suite: SuiteArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Starts this `trioxide` binary for the measurement
    #[arg(long, value_name = "BINARY", conflicts_with_all = ["endpoint", "server_pid"], global = true)]
    pub(crate) server: Option<PathBuf>,
    /// Where a server started by --server keeps its data, in a fresh folder that is removed. Put it on a real disk
    #[arg(long, value_name = "DIR", default_value = "data", global = true)]
    pub(crate) data: PathBuf,
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9878", global = true)]
    pub(crate) endpoint: String,
    #[arg(long, value_name = "KEY", env = "AWS_ACCESS_KEY_ID", global = true)]
    pub(crate) access_key: Option<String>,
    #[arg(long, value_name = "SECRET", env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true, global = true)]
    pub(crate) secret_key: Option<String>,
    #[arg(long, default_value = "us-east-1", global = true)]
    pub(crate) region: String,
    /// The bucket to work in; it is created if it is not there
    #[arg(long, default_value = "trioxide-bench", global = true)]
    pub(crate) bucket: String,
    /// Processes whose CPU time and memory are the server's; several for a cluster
    #[arg(long, value_name = "PID", global = true)]
    pub(crate) server_pid: Vec<u32>,
    /// Where the server tells its counters, for its own count of syncs and seeks; several for a cluster
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) metrics_url: Vec<String>,
    /// Counts syncs by strace instead, which slows the server down: for the count, not for the time
    #[arg(long, global = true)]
    pub(crate) strace: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// All that a release is judged by
    Suite(SuiteArgs),
    /// Writes objects
    Put(LoadArgs),
    /// Reads objects, after writing some
    Get(LoadArgs),
    /// Asks for objects' headers, after writing some
    Head(LoadArgs),
    /// Lists pages of 1,000 keys, after writing some
    List(LoadArgs),
    /// Deletes objects, after writing them
    Delete(LoadArgs),
    /// Writes objects in parts
    Multipart(MultipartArgs),
    /// Reads long objects, beside a plain file server on the same machine
    Stream(StreamArgs),
    /// Lists many keys page by page, and by prefix
    Pages(PagesArgs),
    /// The plain file server that `stream` compares with
    #[command(hide = true)]
    PlainServer {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct SuiteArgs {
    /// Clients of the small-object scenarios
    #[arg(long = "suite-clients", default_value_t = 32)]
    pub(crate) clients: usize,
    /// Requests of each small-object scenario
    #[arg(long = "suite-requests", default_value_t = 20_000)]
    pub(crate) requests: u64,
    /// Keys of the listing scenarios
    #[arg(long = "suite-keys", default_value_t = 100_000)]
    pub(crate) keys: u64,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LoadArgs {
    /// Bytes an object, with KiB, MiB or GiB
    #[arg(long, default_value = "4KiB", value_parser = parse_size)]
    pub(crate) size: u64,
    /// Clients at once, each with one kept connection
    #[arg(long, default_value_t = 32)]
    pub(crate) clients: usize,
    /// Requests in all
    #[arg(long, default_value_t = 10_000)]
    pub(crate) requests: u64,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct MultipartArgs {
    #[arg(long, default_value = "64MiB", value_parser = parse_size)]
    pub(crate) size: u64,
    #[arg(long, default_value = "8MiB", value_parser = parse_size)]
    pub(crate) part: u64,
    #[arg(long, default_value_t = 4)]
    pub(crate) clients: usize,
    /// Objects in all
    #[arg(long, default_value_t = 16)]
    pub(crate) objects: u64,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct StreamArgs {
    #[arg(long, default_value = "64MiB", value_parser = parse_size)]
    pub(crate) size: u64,
    #[arg(long, default_value_t = 2)]
    pub(crate) clients: usize,
    #[arg(long, default_value_t = 40)]
    pub(crate) requests: u64,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PagesArgs {
    #[arg(long, default_value_t = 100_000)]
    pub(crate) keys: u64,
    #[arg(long, default_value_t = 10)]
    pub(crate) prefixes: u64,
    /// Clients that write the keys
    #[arg(long, default_value_t = 32)]
    pub(crate) clients: usize,
}

fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("a number of bytes, or one with KiB, MiB or GiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a number of bytes, or one with KiB, MiB or GiB".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more bytes than there are".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_with_their_units() {
        assert_eq!(parse_size("0"), Ok(0));
        assert_eq!(parse_size("4KiB"), Ok(4096));
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        for bad in ["", "KiB", "4K", "-1", "4 KB", "99999999999GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
