//! `lakectl health`: one line per network that is not healthy, and the exit code.

use lake_proto::v1::{GetHealthRequest, GetHealthResponse, HealthState};
use serde::Serialize;

use crate::{
    args::{self, Connection, Output},
    client,
    exit::{Exit, Failure},
    output::Out,
};

/// The JSON of `lakectl health --output json`. Field names are stable.
#[derive(Debug, Serialize)]
struct HealthJson<'a> {
    /// Whether every network asked about is healthy.
    healthy: bool,
    /// One entry per network.
    networks: Vec<NetworkHealthJson<'a>>,
}

/// One network's health.
#[derive(Debug, Serialize)]
struct NetworkHealthJson<'a> {
    /// Its name.
    name: &'a str,
    /// Whether it is healthy.
    healthy: bool,
    /// Why not; empty when it is.
    reason: &'a str,
}

pub(crate) async fn run(connection: &Connection, args: &args::Health) -> Result<Exit, Failure> {
    let mut client = client::control(connection).await?;
    let network = args.network.clone().unwrap_or_default();
    let answer = client::answer(client.get_health(GetHealthRequest { network })).await?;
    let healthy = answer.state() == HealthState::Serving;
    let mut out = Out::stdout();
    match args.output {
        Output::Human => out.write(&text(&answer, healthy))?,
        output @ (Output::Json | Output::Yaml) => out.value(output, &json(&answer, healthy))?,
    }
    Ok(if healthy { Exit::Done } else { Exit::Unhealthy })
}

fn text(answer: &GetHealthResponse, healthy: bool) -> String {
    let mut text = String::from(if healthy { "healthy\n" } else { "not healthy\n" });
    for network in &answer.networks {
        let word = if network.state() == HealthState::Serving { "healthy" } else { &network.reason };
        text.push_str(&format!("  {}: {word}\n", network.name));
    }
    text
}

fn json(answer: &GetHealthResponse, healthy: bool) -> HealthJson<'_> {
    let networks = answer.networks.iter().map(|network| NetworkHealthJson {
        name: &network.name,
        healthy: network.state() == HealthState::Serving,
        reason: &network.reason,
    });
    HealthJson { healthy, networks: networks.collect() }
}
