//! The command line of backfills and gaps.

use std::time::Duration;

use clap::{Subcommand, builder::NonEmptyStringValueParser};
use lake_proto::v1::{
    LedgerRange, backfill_target,
    backfill_target::Ledgers,
    workers::{Auto, Count},
};

use super::{EXIT_CODES, Output, seconds};
use crate::exit::{Exit, Failure};

/// Most workers that a job may have.
pub(crate) const MAX_WORKERS: u32 = 64;

const START_EXAMPLES: &str = "\
What is in the lake already is left out, so the same command twice does the work once. A job goes
on after a restart of the daemon. Ledger numbers may be written 60000000, 60_000_000 or 60,000,000.

Examples:
  lakectl backfill start --network mainnet --from 2 --to 60000000 --workers 10
  lakectl backfill start --network mainnet --from 2 --to 60_000_000 --dry-run
  lakectl backfill start --last 100000 --workers auto     # when there is only one network
  lakectl backfill start --network testnet --gaps --output json | jq .id";

const WATCH_EXAMPLES: &str = "\
A full screen on a terminal; elsewhere one line per interval. It ends when the job does; leaving it
changes nothing about the job.

Keys:
  q  leave    p  pause    r  resume    +  one worker more    -  one worker fewer

Examples:
  lakectl backfill watch
  lakectl backfill watch 3 && echo 'all of it is stored'
  lakectl backfill watch 3 --interval 60 >> backfill.log
  lakectl backfill watch 3 --output json | jq '{state, ledgers_stored, remaining_seconds}'";

const LIST_EXAMPLES: &str = "\
Examples:
  lakectl backfill list
  lakectl backfill list --network mainnet
  lakectl backfill list --output json | jq '.jobs[] | select(.state == \"running\") | .id'";

const SHOW_EXAMPLES: &str = "\
Examples:
  lakectl backfill show 3
  lakectl backfill show 3 --output json | jq .parked";

const PAUSE_EXAMPLES: &str = "\
Chunks in flight are still committed. The job stays paused over restarts of the daemon.

Examples:
  lakectl backfill pause 3";

const RESUME_EXAMPLES: &str = "\
For jobs that are paused, stopped or finished. Parked chunks are tried again.

Examples:
  lakectl backfill resume 3";

const CANCEL_EXAMPLES: &str = "\
What is committed stays in the lake. A cancelled job cannot be resumed; a new one with the same
ledgers leaves out what is stored.

Examples:
  lakectl backfill cancel 3";

const SET_EXAMPLES: &str = "\
Examples:
  lakectl backfill set 3 --workers 20
  lakectl backfill set 3 --workers auto";

pub(super) const GAPS_EXAMPLES: &str = "\
Missing ledgers come with the reason: parked or wanted by a job, removed by hand, or never ingested.
Ledgers that are stored but damaged, as the last `lakectl verify` or the start of the daemon found,
are listed with their table and file.

Examples:
  lakectl gaps
  lakectl gaps --network mainnet && echo complete
  lakectl gaps --output json | jq '.networks[] | {name, missing_ledgers}'";

pub(super) const REPAIR_EXAMPLES: &str = "\
Ledgers that are damaged, or of which some tables still hold rows, are stored anew in place of what
is there, in one transaction: readers see the old rows or the new ones.

The same as `lakectl backfill start --gaps` for each network with gaps. Jobs are watched and steered
with `lakectl backfill`. A network whose job is refused does not keep the others from theirs: the
exit code is that of the first refusal.

Examples:
  lakectl repair
  lakectl repair --network mainnet --workers 10";

/// The end of a help text: examples, then the exit codes, which are the same everywhere.
pub(super) fn help(examples: &str) -> String {
    format!("{examples}\n\n{EXIT_CODES}")
}

#[derive(Debug, clap::Args)]
pub(crate) struct Backfill {
    #[command(subcommand)]
    pub(crate) verb: BackfillVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackfillVerb {
    /// Start a job, or say what it would do with --dry-run.
    #[command(after_help = help(START_EXAMPLES))]
    Start(Start),
    /// Watch a job live until it is over.
    #[command(after_help = help(WATCH_EXAMPLES))]
    Watch(JobWatch),
    /// List all jobs, newest first.
    #[command(after_help = help(LIST_EXAMPLES))]
    List(JobList),
    /// Show one job with its parked chunks and its history.
    #[command(after_help = help(SHOW_EXAMPLES))]
    Show(Job),
    /// Stop a job from taking more chunks.
    #[command(after_help = help(PAUSE_EXAMPLES))]
    Pause(Job),
    /// Let a job go on.
    #[command(after_help = help(RESUME_EXAMPLES))]
    Resume(Job),
    /// End a job for good.
    #[command(after_help = help(CANCEL_EXAMPLES))]
    Cancel(Job),
    /// Change the workers of a job.
    #[command(after_help = help(SET_EXAMPLES))]
    Set(JobWorkers),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// Network to fill; may be left out when only one is configured.
    #[arg(long, value_name = "NETWORK", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) network: Option<String>,
    /// First ledger, inclusive.
    #[arg(
        long, value_name = "LEDGER", value_parser = ledger, requires = "to", conflicts_with_all = ["gaps", "last"]
    )]
    pub(crate) from: Option<u32>,
    /// Last ledger, inclusive.
    #[arg(long, value_name = "LEDGER", value_parser = ledger, requires = "from")]
    pub(crate) to: Option<u32>,
    /// What is missing between the first and the last stored ledger.
    #[arg(long, conflicts_with = "last")]
    pub(crate) gaps: bool,
    /// So many ledgers up to the newest of the source.
    #[arg(long, value_name = "LEDGERS", value_parser = ledger)]
    pub(crate) last: Option<u32>,
    /// How many chunks are worked at once, 1 to 64, or auto: as many as saturate the narrower of CPU and source.
    /// The daemon takes 4 when this is left out. A plan lists the time for several numbers whatever is given.
    #[arg(long, value_name = "N|auto", value_parser = workers)]
    pub(crate) workers: Option<Count>,
    /// Start although the disk may be too small for the result.
    #[arg(long)]
    pub(crate) force: bool,
    /// Show the plan and start nothing: ledgers, bytes, rows, disk, time, money.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

impl Start {
    /// The ledgers that were asked for.
    pub(crate) fn ledgers(&self) -> Result<Ledgers, Failure> {
        match (self.from.zip(self.to), self.last) {
            (Some((first, last)), _) if last < first => {
                Err(Failure::new(Exit::Usage, format!("--to {last} is before --from {first}"))
                    .hint("swap them: both are inclusive"))
            }
            (Some((first, last)), _) => Ok(Ledgers::Range(LedgerRange { first, last })),
            (None, Some(last)) => Ok(Ledgers::Last(last)),
            (None, None) if self.gaps => Ok(Ledgers::Gaps(backfill_target::Gaps {})),
            (None, None) => Err(Failure::new(Exit::Usage, "which ledgers?").hint(
                "give --from LEDGER and --to LEDGER for a range, --gaps for what is missing in between, or --last \
                 LEDGERS for the newest ones",
            )),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobWatch {
    /// Number of the job; the newest when left out.
    #[arg(value_name = "JOB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) job: Option<u32>,
    /// Seconds between two looks, at least 0.1.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) interval: Duration,
    /// For people, or one object per line for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobList {
    /// Only the jobs of this network.
    #[arg(long, value_name = "NETWORK", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) network: Option<String>,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Job {
    /// Number of the job.
    #[arg(value_name = "JOB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) job: u32,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JobWorkers {
    #[command(flatten)]
    pub(crate) job: Job,
    /// Workers from now on: 1 to 64, or auto.
    #[arg(long, value_name = "N|auto", value_parser = workers)]
    pub(crate) workers: Count,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Gaps {
    /// Only this network.
    #[arg(long, value_name = "NETWORK", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) network: Option<String>,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Repair {
    /// Only this network.
    #[arg(long, value_name = "NETWORK", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) network: Option<String>,
    /// Workers of each job: 1 to 64, or auto. The daemon takes 4 when this is left out.
    #[arg(long, value_name = "N|auto", value_parser = workers)]
    pub(crate) workers: Option<Count>,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

/// A positive number, its thousands parted by `_`, by `,` or not at all.
///
/// Groups must be whole: `2,60000000` is a range typed wrong and not a number.
pub(super) fn ledger(text: &str) -> Result<u32, String> {
    let grouped = |separator| {
        let mut groups = text.split(separator);
        let first = groups.next().is_some_and(|group| matches!(group.len(), 1..=3));
        first && groups.all(|group| group.len() == 3)
    };
    let digits: String = match (text.contains('_'), text.contains(',')) {
        (false, false) => text.to_owned(),
        (true, false) if grouped('_') => text.replace('_', ""),
        (false, true) if grouped(',') => text.replace(',', ""),
        (_, _) => return Err("group it by thousands, as in 60_000_000 or 60,000,000".to_owned()),
    };
    match digits.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(number) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        Ok(_) | Err(_) => Err(format!("give a number from 1 to {}", u32::MAX)),
    }
}

/// `auto`, or how many.
fn workers(text: &str) -> Result<Count, String> {
    if text == "auto" {
        return Ok(Count::Auto(Auto {}));
    }
    match text.parse() {
        Ok(number) if (1..=MAX_WORKERS).contains(&number) => Ok(Count::Fixed(number)),
        Ok(_) | Err(_) => Err(format!("give a number from 1 to {MAX_WORKERS}, or auto")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn start(line: &str) -> Result<Start, String> {
        let words = ["lakectl", "backfill", "start"].into_iter().chain(line.split_whitespace());
        let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Backfill(Backfill { verb: BackfillVerb::Start(start) }) = args.command else {
            panic!("{args:?}");
        };
        Ok(start)
    }

    #[test]
    fn ledgers_may_be_grouped_by_thousands_only() {
        for (text, number) in
            [("2", 2), ("60000000", 60_000_000), ("60_000_000", 60_000_000), ("1,234", 1_234)]
        {
            assert_eq!(ledger(text), Ok(number), "{text}");
        }
        for bad in
            ["0", "-1", "+5", "2,60000000", "1,234_567", ",123", "1234,567", "4294967296", "", "x", "1,00x"]
        {
            assert!(ledger(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn workers_are_a_number_or_auto() {
        assert_eq!(workers("1"), Ok(Count::Fixed(1)));
        assert_eq!(workers("64"), Ok(Count::Fixed(64)));
        assert_eq!(workers("auto"), Ok(Count::Auto(Auto {})));
        for bad in ["0", "65", "-1", "all", ""] {
            assert!(workers(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_way_of_saying_which_ledgers() {
        let ledgers = |line| start(line).expect("it parses").ledgers();
        assert_eq!(
            ledgers("--from 2 --to 60,000,000"),
            Ok(Ledgers::Range(LedgerRange { first: 2, last: 60_000_000 }))
        );
        assert_eq!(ledgers("--from 7 --to 7"), Ok(Ledgers::Range(LedgerRange { first: 7, last: 7 })));
        assert_eq!(ledgers("--last 100000"), Ok(Ledgers::Last(100_000)));
        assert_eq!(ledgers("--gaps"), Ok(Ledgers::Gaps(backfill_target::Gaps {})));
        assert_eq!(ledgers("--from 8 --to 7").unwrap_err().message, "--to 7 is before --from 8");
        let failure = ledgers("--workers 10").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.is_some_and(|hint| hint.contains("--from") && hint.contains("--gaps")));
        for bad in
            ["--from 2", "--to 2", "--from 2 --to 3 --gaps", "--from 2 --to 3 --last 4", "--gaps --last 4"]
        {
            assert!(start(bad).is_err(), "{bad}");
        }
    }
}
