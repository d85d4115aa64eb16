//! `lakectl events`: what happens, as it happens.

use lake_proto::v1::{Event, EventKind, WatchEventsRequest};
use serde::Serialize;

use crate::{
    args::{self, Connection, Output},
    client,
    exit::{Exit, Failure},
    output::{Out, human},
};

/// The JSON of an event. Field names are stable.
#[derive(Debug, Serialize)]
struct EventJson<'a> {
    /// Its number, for `--since`.
    sequence: u64,
    /// RFC 3339.
    at: String,
    /// `ledgers`, `gap`, `error`, `job`, `network` or `reload`.
    kind: &'static str,
    /// Null when it is about none.
    network: Option<&'a str>,
    /// Null when it is about none.
    first_ledger: Option<u32>,
    /// Null when it is about none.
    last_ledger: Option<u32>,
    /// Null when it is about none.
    job: Option<u32>,
    /// For people.
    text: &'a str,
}

pub(crate) async fn run(connection: &Connection, args: args::Events) -> Result<Exit, Failure> {
    let mut client = client::events(connection).await?;
    let request = WatchEventsRequest { since: args.since, network: args.network.unwrap_or_default() };
    let mut stream = client::answer(client.watch_events(request)).await?;
    let mut out = Out::stdout();
    while let Some(answer) = stream.message().await.map_err(|status| Failure::rpc(&status))? {
        let event = answer.event.unwrap_or_default();
        match args.output {
            Output::Human => out.write(&line(&event))?,
            output @ (Output::Json | Output::Yaml) => out.value(output, &json(&event))?,
        }
    }
    Ok(Exit::Done)
}

fn kind(event: &Event) -> &'static str {
    match event.kind() {
        EventKind::Ledgers => "ledgers",
        EventKind::Gap => "gap",
        EventKind::Error => "error",
        EventKind::Job => "job",
        EventKind::Network => "network",
        EventKind::Reload => "reload",
        EventKind::Unspecified => "unknown",
    }
}

fn line(event: &Event) -> String {
    format!(
        "{} {} {:<8} {}\n",
        event.sequence,
        human::moment(event.at.as_ref()),
        kind(event),
        human::one_line(&event.text)
    )
}

fn json(event: &Event) -> EventJson<'_> {
    let number = |number: u32| Some(number).filter(|number| *number > 0);
    EventJson {
        sequence: event.sequence,
        at: human::moment(event.at.as_ref()),
        kind: kind(event),
        network: Some(event.network.as_str()).filter(|network| !network.is_empty()),
        first_ledger: number(event.first_ledger),
        last_ledger: number(event.last_ledger),
        job: number(event.job),
        text: &event.text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_for_people_and_one_for_programs() {
        let at = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
        let mut event =
            Event { sequence: 7, at, network: "a".to_owned(), text: "x".to_owned(), ..Event::default() };
        event.set_kind(EventKind::Gap);
        (event.first_ledger, event.last_ledger) = (2, 9);
        assert!(line(&event).starts_with("7 2023-11-14"), "{}", line(&event));
        assert!(line(&event).ends_with(" gap      x\n"), "{}", line(&event));
        let json = serde_json::to_value(json(&event)).unwrap();
        assert_eq!(
            (&json["sequence"], &json["kind"], &json["network"]),
            (&7.into(), &"gap".into(), &"a".into())
        );
        assert_eq!((&json["first_ledger"], &json["last_ledger"]), (&2.into(), &9.into()));
        assert!(json["job"].is_null() && json["at"].as_str().unwrap().starts_with("2023-11-14T22:13:20"));
    }
}
