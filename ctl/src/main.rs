//! `lakectl`: watches and queries a running stellar-lake daemon over its Unix socket.
//!
//! Data goes to stdout and nothing else does; errors go to stderr with their cause and what to do; the exit
//! code says what happened (see [`exit`]).

mod args;
mod client;
mod cmd;
mod exit;
mod output;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;
use exit::{Exit, Failure};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(message) => return exit::usage(&message),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::io("cannot start", &error).report(),
    };
    match runtime.block_on(run(args)) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}

async fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Status(status) => cmd::status::run(&args.connection, &status).await,
        Command::Health(health) => cmd::health::run(&args.connection, &health).await,
        Command::Query(query) => cmd::query::run(&args.connection, query).await,
        Command::Schema(schema) => cmd::schema::run(&schema),
        Command::Networks(networks) => cmd::networks::run(&args.connection, networks.verb).await,
        Command::Reload(reload) => cmd::config::reload(&args.connection, &reload).await,
        Command::Config(config) => cmd::config::run(&args.connection, config.verb).await,
        Command::LogLevel(level) => cmd::config::log_level(&args.connection, level).await,
        Command::Events(events) => cmd::events::run(&args.connection, events).await,
        Command::Maintenance(maintenance) => cmd::maintenance::run(&args.connection, maintenance.verb).await,
        Command::Backfill(backfill) => cmd::backfill::run(&args.connection, backfill.verb).await,
        Command::Gaps(gaps) => cmd::gaps::list(&args.connection, gaps).await,
        Command::Repair(repair) => cmd::gaps::repair(&args.connection, repair).await,
        Command::Verify(verify) => cmd::verify::run(&args.connection, verify).await,
        Command::Doctor(doctor) => cmd::doctor::run(&args.connection, &doctor).await,
        Command::Version(version) => cmd::version::run(&args.connection, &version).await,
    }
}
