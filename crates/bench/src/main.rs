//! Measures a running server from outside: whole requests over real HTTP with SigV4.
//!
//! A scenario is a file in [`scenario`], with its question and its estimate in the head. What is printed with a number:
//! the machine, the commit, the data set, percentiles, and what the request cost the server in CPU, syncs and memory.
//! Nothing here passes or fails by time.

mod child;
mod cli;
mod client;
mod cost;
mod drive;
mod error;
mod launch;
mod plain;
mod report;
mod scenario;
mod sign;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::error::BenchError;
use crate::launch::Launched;
use crate::report::{Form, Report};
use crate::scenario::Bench;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("trioxide-bench: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            eprintln!("{text}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), BenchError> {
    if let Some(Command::PlainServer { listen, file }) = &cli.command {
        return plain::serve(*listen, file).await;
    }
    let launched = match &cli.target.server {
        Some(binary) => Some(Launched::start(binary, &cli.target.data).await?),
        None => None,
    };
    let bench = Bench::new(&cli, launched.as_ref())?;
    let form = if cli.json { Form::Json } else { Form::Text };
    let mut report = Report::new(bench.describe(), form);
    let outcome = tokio::select! {
        outcome = scenario::run(&bench, cli.command.unwrap_or(Command::Suite(cli.suite)), &mut report) => outcome,
        _ = tokio::signal::ctrl_c() => Err(BenchError::Interrupted),
    };
    if let Some(launched) = launched {
        launched.stop().await?;
    }
    report.finish()?;
    outcome
}
