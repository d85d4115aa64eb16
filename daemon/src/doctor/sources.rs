//! Whether each source answers, and this machine's clock against the close times that they have.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt, future::join_all};
use lake_core::{LedgerSeq, Network, decode};

use super::Finding;
use crate::{
    budget::MemoryBudget,
    config::{NetworkSettings, Settings, SourceSettings},
    source::{self, Source},
};

/// How long a source may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Memory for the one object that is read.
const MEMORY: u64 = 256 << 20;
/// A ledger cannot be closed later than now; clocks that are set by the network differ by less.
const AHEAD: u64 = 10;

/// What a source answers.
struct Answer {
    tip: Option<LedgerSeq>,
    /// Close time of the tip, seconds since the Unix epoch.
    closed: Option<u64>,
}

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let looks = settings.networks.iter().flat_map(|network| {
        let history = (network.history != network.source).then_some(("history", &network.history));
        let places = [("source", &network.source)].into_iter().chain(history);
        places.map(move |(what, place)| look(network, what, place))
    });
    let mut findings = Vec::new();
    let mut newest = None;
    for (finding, closed) in join_all(looks).await {
        findings.push(finding);
        newest = newest.max(closed);
    }
    findings.extend(newest.map(clock));
    findings
}

/// Asks one source; gives the close time of its newest ledger too, where that is a real one.
async fn look(network: &NetworkSettings, what: &str, place: &SourceSettings) -> (Finding, Option<u64>) {
    let identity = Network::new(&network.passphrase);
    let opened = source::open(place, &identity, &MemoryBudget::new(MEMORY));
    let name = format!("{} of {}: {}", what, network.name, opened.describe());
    let is_real = match place {
        SourceSettings::Filesystem { .. } => true,
        SourceSettings::Simulated { .. } => {
            return (Finding::fine("sources", format!("{name} is built in")), None);
        }
        SourceSettings::Replay { .. } => false,
    };
    match tokio::time::timeout(PATIENCE, ask(&opened, is_real)).await {
        Ok(Ok(Answer { tip, closed })) => {
            let tip = tip.map_or_else(|| "answers".to_owned(), |tip| format!("answers, up to ledger {tip}"));
            (Finding::fine("sources", format!("{name} {tip}")), closed)
        }
        Ok(Err(error)) => {
            let todo = "check that it is there, and that the daemon's user may read it; under systemd /home is hidden";
            (Finding::error("sources", format!("{name}: {error}"), todo), None)
        }
        Err(_) => {
            let message = format!("{name} does not answer within {} s", PATIENCE.as_secs());
            let todo = "check the disk or the line behind it; the daemon goes on trying";
            (Finding::error("sources", message, todo), None)
        }
    }
}

async fn ask(source: &Arc<dyn Source>, is_real: bool) -> Result<Answer, String> {
    let tip = source.tip().await.map_err(|error| error.to_string())?;
    let Some(last) = tip.filter(|_| is_real) else { return Ok(Answer { tip, closed: None }) };
    let Some(raw) = source.ledgers(last, Some(last)).next().await else {
        return Err(format!("it has no ledger {last}, which it names as its newest"));
    };
    let raw = raw.map_err(|error| error.to_string())?;
    let head = decode::peek(&raw.xdr, &raw.origin).map_err(|error| error.to_string())?;
    Ok(Answer { tip, closed: Some(head.close_time) })
}

/// This machine's clock against the newest close time.
fn clock(closed: u64) -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    against(now, closed)
}

fn against(now: u64, closed: u64) -> Finding {
    let text = |secs: u64| humantime::format_duration(Duration::from_secs(secs)).to_string();
    if closed > now + AHEAD {
        return Finding::error(
            "clock",
            format!(
                "this machine's clock is at least {} behind: a ledger was closed later than now",
                text(closed - now)
            ),
            "set the clock, and keep it right: systemd-timesyncd or chrony",
        );
    }
    Finding::fine(
        "clock",
        format!("the newest ledger of all sources was closed {} ago", text(now.saturating_sub(closed))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn a_ledger_of_the_future_means_that_the_clock_is_behind() {
        assert_eq!(against(1000, 990).severity, Severity::Fine);
        assert_eq!(against(1000, 1010).severity, Severity::Fine);
        let finding = against(1000, 1100);
        assert_eq!(finding.severity, Severity::Error);
        assert!(finding.message.contains("at least 1m 40s behind"), "{}", finding.message);
    }
}
