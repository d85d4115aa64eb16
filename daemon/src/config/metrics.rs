//! Where metrics are shown and sent.

use std::{net::SocketAddr, path::PathBuf};

/// Where a Prometheus may scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsAddress {
    /// A loopback address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsSection {
    /// Where a Prometheus may scrape; `None`: nowhere.
    pub listen: Option<MetricsAddress>,
    /// The collector that they are sent to by OTLP; `None`: what the standard variables say.
    pub otlp: Option<String>,
}

/// Reads `metrics.listen`; `None` for the empty text.
///
/// # Errors
/// What is wrong with it, and what it may be.
pub(super) fn address(text: &str) -> Result<Option<MetricsAddress>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return match path.is_absolute() {
            true => Ok(Some(MetricsAddress::Unix(path))),
            false => Err(format!("`{text}` needs an absolute path after `unix:`")),
        };
    }
    let address: SocketAddr = text.parse().map_err(|_| {
        format!("`{text}` is not an address: use 127.0.0.1:9464, [::1]:9464, unix:/PATH, or leave it empty")
    })?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{} can be reached from other machines, and metrics are shown to everybody who asks: use a loopback address",
            address.ip()
        ));
    }
    Ok(Some(MetricsAddress::Tcp(address)))
}

/// Reads `telemetry.otlp`; `None` for the empty text.
///
/// # Errors
/// What is wrong with it, and what it may be.
pub(super) fn collector(text: &str) -> Result<Option<String>, String> {
    match text {
        "" => Ok(None),
        _ if text.strip_prefix("http://").is_some_and(|rest| !rest.is_empty()) => Ok(Some(text.to_owned())),
        _ => Err(format!(
            "`{text}` is not a collector: use http://HOST:PORT (gRPC, without TLS), or leave it empty"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_shown_on_this_machine_alone() {
        let tcp = |text: &str| Ok(Some(MetricsAddress::Tcp(text.parse().unwrap())));
        assert_eq!(address(""), Ok(None));
        assert_eq!(address("127.0.0.1:9464"), tcp("127.0.0.1:9464"));
        assert_eq!(address("[::1]:0"), tcp("[::1]:0"));
        assert_eq!(address("unix:/run/m.sock"), Ok(Some(MetricsAddress::Unix("/run/m.sock".into()))));
        for wrong in
            ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:9464", "localhost:9464", "9464", "unix:", "unix:m"]
        {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_collector_is_an_address_without_tls() {
        assert_eq!(collector(""), Ok(None));
        assert_eq!(collector("http://127.0.0.1:4317"), Ok(Some("http://127.0.0.1:4317".to_owned())));
        for wrong in ["127.0.0.1:4317", "https://collector:4317", "http://"] {
            assert!(collector(wrong).is_err(), "{wrong}");
        }
    }
}
