//! The daemon's program: reads arguments and settings, starts the runtime, maps the end to an exit code.

use std::{
    env,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{self, ExitCode},
};

use clap::Parser;
use stellar_lake::{
    app::{self, AppError},
    bare,
    cli::{Cli, Command, Exit},
    config::{ConfigError, Configuration, Inputs},
    control::InheritedSocket,
    doctor, ingest,
    telemetry::{self, LogLevel},
};

// XDR decoding allocates many small values: the system's allocator costs a third more CPU there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What the allocators are told, unless the operator tells them otherwise. With their defaults freed memory stays with the
/// process for good, and in pages of 2 MiB: a backfill by ten workers took 1.5 GiB instead of 0.9. mimalloc gives pages back
/// after five seconds instead of one: sooner, and a chunk's next rows pay for fresh pages, a twentieth of all time.
const ALLOCATORS: [(&str, &str); 3] =
    [("MIMALLOC_ALLOW_THP", "0"), ("MIMALLOC_PURGE_DELAY", "5000"), ("MALLOC_ARENA_MAX", "2")];

/// Begins anew, as the same process, with [`ALLOCATORS`] in the environment: allocators read it before `main`.
fn tell_allocators() {
    let unset = ALLOCATORS.iter().filter(|(name, _)| env::var_os(name).is_none()).copied();
    let unset: Vec<(&str, &str)> = unset.collect();
    if unset.is_empty() {
        return;
    }
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| "stellar-lake".into());
    let begun = env::current_exe()
        .map(|program| process::Command::new(program).arg0(name).args(arguments).envs(unset).exec());
    // Only a failure comes back.
    let (Ok(error) | Err(error)) = begun;
    writeln!(io::stderr(), "stellar-lake: warning: goes on with more memory than it needs: {error}").ok();
}

fn main() -> ExitCode {
    tell_allocators();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            return match error.print() {
                Ok(()) => exit.into(),
                Err(_) => Exit::Io.into(),
            };
        }
    };
    match start(cli) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            // Nothing can be done when even standard error is closed.
            writeln!(std::io::stderr(), "stellar-lake: {error}").ok();
            error.exit.into()
        }
    }
}

fn start(cli: Cli) -> Result<(), AppError> {
    let configuration = |error: ConfigError| AppError::new(Exit::Config, error);
    let stdout =
        |text: String| write!(std::io::stdout(), "{text}").map_err(|error| AppError::new(Exit::Io, error));
    if let Some(Command::BareDecode { path, repeat }) = &cli.command {
        return bare::decode(path, *repeat)
            .map_err(|message| AppError::new(Exit::Io, message))
            .and_then(stdout);
    }
    let inputs = Inputs { file: cli.config, set: cli.set };
    if let Some(Command::Doctor) = &cli.command {
        return examine(&inputs).and_then(stdout);
    }
    let read = inputs.load().map_err(configuration)?;
    if cli.dump_config {
        return stdout(read.layers.dump());
    }
    match cli.command.unwrap_or(Command::Run) {
        Command::CheckConfig => {
            let files: Vec<String> = read.layers.files().iter().map(|f| f.display().to_string()).collect();
            let from = if files.is_empty() { "the built-in defaults".to_owned() } else { files.join(", ") };
            stdout(format!(
                "the configuration is valid: {} networks, from {from}\n",
                read.settings.networks.len()
            ))
        }
        Command::BareDecode { .. } | Command::Doctor => Ok(()),
        Command::Run => {
            // Before there are threads: it takes what it was told out of the environment.
            let inherited = InheritedSocket::take().map_err(AppError::from)?;
            block_on(read, |read, level| app::run(read, level, inherited))
        }
        Command::Ingest(args) => block_on(read, |read, _level| ingest::run(args, read.settings)),
    }
}

/// The findings about this machine as JSON. What hangs is left behind.
fn examine(inputs: &Inputs) -> Result<String, AppError> {
    let failed = |error: io::Error| AppError::new(Exit::Internal, error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let findings = runtime.block_on(doctor::examine(inputs));
    runtime.shutdown_background();
    let text = serde_json::to_string(&findings).map_err(|error| failed(error.into()))?;
    Ok(format!("{text}\n"))
}

fn block_on<F>(read: Configuration, work: impl FnOnce(Configuration, LogLevel) -> F) -> Result<(), AppError>
where
    F: Future<Output = Result<(), AppError>>,
{
    let level =
        telemetry::start(&read.settings.log).map_err(|message| AppError::new(Exit::Config, message))?;
    #[cfg(feature = "fail-points")]
    stellar_lake::fail_point::arm().map_err(|message| AppError::new(Exit::Usage, message))?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(
            |error| AppError::new(Exit::Internal, format!("the runtime cannot be started: {error}")),
        )?;
    let result = runtime.block_on(work(read, level));
    // All that was to be saved is: a thread that hangs in a system call must not keep the process.
    runtime.shutdown_background();
    result
}
