//! `lakectl networks`: which there are, and changing them while the daemon runs.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read, Write},
    path::Path,
};

use lake_proto::v1::{
    AddNetworkRequest, GetNetworkRequest, ListNetworksRequest, Network, NetworkOrigin, PauseNetworkRequest,
    RemoveNetworkRequest, ResumeNetworkRequest,
};
use serde::Serialize;

use crate::{
    args::{Connection, NetworkAdd, NetworkList, NetworkRemove, NetworksVerb, Output},
    client,
    exit::{Exit, Failure},
    output::Out,
};

/// The JSON of `lakectl networks list`. Field names are stable.
#[derive(Debug, Serialize)]
struct NetworksJson<'a> {
    /// In their order.
    networks: Vec<NetworkJson<'a>>,
}

/// The JSON of one network. Field names are stable.
#[derive(Debug, Serialize)]
struct NetworkJson<'a> {
    /// Its name.
    name: &'a str,
    /// Passphrase.
    passphrase: &'a str,
    /// `configured` or `added`.
    origin: &'static str,
    /// Paused on request.
    paused: bool,
    /// Whether its newest ledgers are followed.
    live: bool,
    /// Its source in words.
    source: &'a str,
    /// The source of its history in words.
    history: &'a str,
    /// Where it begins: oldest, latest or a ledger.
    start: &'a str,
    /// Last ledger; null when it has no end.
    end: Option<u32>,
}

/// The JSON of `lakectl networks remove`. Field names are stable.
#[derive(Debug, Serialize)]
struct RemovedJson<'a> {
    /// The name that it had.
    removed: &'a str,
    /// Its tables were dropped.
    purged: bool,
}

impl<'a> From<&'a Network> for NetworkJson<'a> {
    fn from(network: &'a Network) -> Self {
        Self {
            name: &network.name,
            passphrase: &network.passphrase,
            origin: origin(network),
            paused: network.paused,
            live: network.live,
            source: &network.source,
            history: &network.history,
            start: &network.start,
            end: network.end,
        }
    }
}

fn origin(network: &Network) -> &'static str {
    match network.origin() {
        NetworkOrigin::Added => "added",
        NetworkOrigin::Configured => "configured",
        NetworkOrigin::Unspecified => "unknown",
    }
}

pub(crate) async fn run(connection: &Connection, verb: NetworksVerb) -> Result<Exit, Failure> {
    let network = match verb {
        NetworksVerb::List(args) => return list(connection, &args).await,
        NetworksVerb::Remove(args) => return remove(connection, args).await,
        NetworksVerb::Add(args) => return add(connection, args).await,
        NetworksVerb::Show(args) => {
            let mut client = client::networks(connection).await?;
            let request = GetNetworkRequest { name: args.name };
            (client::answer(client.get_network(request)).await?.network, "", args.output)
        }
        NetworksVerb::Pause(args) => {
            let mut client = client::networks(connection).await?;
            let request = PauseNetworkRequest { name: args.name };
            (client::slow_answer(client.pause_network(request)).await?.network, "paused", args.output)
        }
        NetworksVerb::Resume(args) => {
            let mut client = client::networks(connection).await?;
            let request = ResumeNetworkRequest { name: args.name };
            (client::slow_answer(client.resume_network(request)).await?.network, "resumed", args.output)
        }
    };
    let (network, done, output) = network;
    show(network, done, output)
}

/// Prints a network: in full, or what was done to it.
fn show(network: Option<Network>, done: &str, output: Output) -> Result<Exit, Failure> {
    let network = network.ok_or_else(|| {
        Failure::new(Exit::Internal, "the answer holds no network")
            .hint("lakectl and the daemon may differ in version: see `lakectl version`")
    })?;
    let mut out = Out::stdout();
    match output {
        Output::Human if done.is_empty() => out.write(&full(&network))?,
        Output::Human => out.write(&format!("{}: {done}\n", network.name))?,
        Output::Json | Output::Yaml => out.value(output, &NetworkJson::from(&network))?,
    }
    Ok(Exit::Done)
}

async fn list(connection: &Connection, args: &NetworkList) -> Result<Exit, Failure> {
    let mut client = client::networks(connection).await?;
    let networks = client::answer(client.list_networks(ListNetworksRequest {})).await?.networks;
    let mut out = Out::stdout();
    match args.output {
        Output::Human => out.write(&lines(&networks))?,
        output @ (Output::Json | Output::Yaml) => {
            out.value(output, &NetworksJson { networks: networks.iter().map(NetworkJson::from).collect() })?;
        }
    }
    Ok(Exit::Done)
}

async fn add(connection: &Connection, args: NetworkAdd) -> Result<Exit, Failure> {
    let definition = match &args.file {
        Some(path) => read(path)?,
        None => args.definition()?,
    };
    let mut client = client::networks(connection).await?;
    let answer = client::slow_answer(client.add_network(AddNetworkRequest { definition })).await?;
    show(answer.network, "added", args.output)
}

async fn remove(connection: &Connection, args: NetworkRemove) -> Result<Exit, Failure> {
    if !args.yes {
        let what = if args.purge { "drop all of its tables" } else { "leave its tables in the lake" };
        if !confirmed(&format!("Remove network {} and {what}?", args.name))? {
            return Err(Failure::new(Exit::Usage, "nothing was removed"));
        }
    }
    let mut client = client::networks(connection).await?;
    let request = RemoveNetworkRequest { name: args.name.clone(), purge: args.purge };
    let purged = client::slow_answer(client.remove_network(request)).await?.purged;
    let mut out = Out::stdout();
    match args.output {
        Output::Human => {
            let tables = if purged { "its tables were dropped" } else { "its tables stay in the lake" };
            out.write(&format!("{}: removed; {tables}\n", args.name))?;
        }
        output @ (Output::Json | Output::Yaml) => {
            out.value(output, &RemovedJson { removed: &args.name, purged })?;
        }
    }
    Ok(Exit::Done)
}

/// Asks on the terminal. Who cannot be asked must say so beforehand.
fn confirmed(question: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "there is no terminal to ask on").hint("say it with --yes"));
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush().map_err(|error| Failure::io("cannot ask", &error))?;
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::io("cannot read the answer", &error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn read(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::io("cannot read the definition from standard input", &error))?;
        return Ok(text);
    }
    fs::read_to_string(path).map_err(|error| Failure::io(&format!("cannot read {}", path.display()), &error))
}

fn lines(networks: &[Network]) -> String {
    if networks.is_empty() {
        return "no networks: add one with `lakectl networks add`\n".to_owned();
    }
    let width = networks.iter().map(|network| network.name.len()).max().unwrap_or_default();
    let line = |network: &Network| {
        let state = match (network.paused, network.live) {
            (true, _) => "paused",
            (false, true) => "live",
            (false, false) => "jobs only",
        };
        format!("{:width$}  {:10}  {state:9}  {}\n", network.name, origin(network), network.source)
    };
    networks.iter().map(line).collect()
}

fn full(network: &Network) -> String {
    let end = network.end.map_or_else(|| "none".to_owned(), |end| end.to_string());
    format!(
        "{}\n  origin      {}\n  paused      {}\n  live        {}\n  source      {}\n  history     {}\n  start       {}\n  end         {end}\n  passphrase  {}\n",
        network.name,
        origin(network),
        if network.paused { "yes" } else { "no" },
        if network.live { "yes" } else { "no" },
        network.source,
        network.history,
        network.start,
        network.passphrase,
    )
}
