//! The one binary: reads the configuration, builds the chosen roles, starts and stops them.
//!
//! Roles never read files or the environment and never meet each other but through their `api`; this package alone sees all of
//! them. `trioxide server` composes them in one process, `trioxide om|scm|datanode|gateway` runs one of them in a cluster, from
//! the same constructors.

mod admin;
mod bootstrap;
mod cli;
mod cluster;
mod config;
mod files;
mod process;
mod repair;
mod single;
mod telemetry;
mod tls;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use runtime::{Entropy, SystemEntropy};

use crate::cli::{Cli, Command, RoleArgs, ServerArgs};
use crate::config::{Config, LoadError};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("trioxide: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode, LoadError> {
    Ok(match command {
        Command::Server(args) => process::run(server_config(args)?, single::run),
        Command::Om(args) => process::run(role_config(args)?, cluster::om),
        Command::Scm(args) => process::run(role_config(args)?, cluster::scm),
        Command::Datanode(args) => process::run(role_config(args)?, cluster::datanode),
        Command::Gateway(args) => process::run(role_config(args)?, cluster::gateway),
        Command::Admin(args) => process::block_on(async move {
            match admin::run(&args).await {
                Ok(text) => {
                    println!("{text}");
                    ExitCode::SUCCESS
                }
                Err(error) => {
                    eprintln!("trioxide: {error}");
                    ExitCode::from(error.exit_code())
                }
            }
        }),
        Command::Token => {
            println!("{}", pki::JoinToken::generate(&SystemEntropy as &dyn Entropy).reveal().as_str());
            ExitCode::SUCCESS
        }
        Command::Config(args) => {
            println!("{:#?}", Config::load(args.file.config.as_deref())?.without_secrets());
            ExitCode::SUCCESS
        }
        Command::Repair(args) => repair::run(&args.tool),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "trioxide", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
    })
}

fn server_config(args: ServerArgs) -> Result<Config, LoadError> {
    let mut config = Config::load(args.file.config.as_deref())?;
    config.data = args.data.or(config.data);
    config.gateway.s3_addr = args.s3_addr.unwrap_or(config.gateway.s3_addr);
    config.admin.addr = args.admin_addr.unwrap_or(config.admin.addr);
    Ok(config)
}

fn role_config(args: RoleArgs) -> Result<Config, LoadError> {
    let mut config = Config::load(args.file.config.as_deref())?;
    config.data = args.data.or(config.data);
    config.node = args.node.or(config.node);
    config.admin.addr = args.admin_addr.unwrap_or(config.admin.addr);
    Ok(config)
}
