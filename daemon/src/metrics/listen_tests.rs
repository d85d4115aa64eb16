use std::os::unix::fs::PermissionsExt;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::{super::Figures, *};

struct Fixed;

impl FiguresSource for Fixed {
    fn figures(&self) -> Figures {
        crate::metrics::text::tests::figures()
    }
}

async fn ask(mut connection: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    connection.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn served() -> (SocketAddr, CancellationToken) {
    let any = MetricsAddress::Tcp("127.0.0.1:0".parse().unwrap());
    let listener = Listener::bind(&any).await.unwrap();
    let place = listener.place().trim_start_matches("http://").trim_end_matches("/metrics").to_owned();
    let stop = CancellationToken::new();
    tokio::spawn(listener.serve(Arc::new(Fixed), stop.clone()));
    (place.parse().unwrap(), stop)
}

#[tokio::test]
async fn metrics_are_at_their_path_and_nothing_else_is_there() {
    let (address, _stop) = served().await;
    let connect = || async { TcpStream::connect(address).await.unwrap() };
    let all = ask(connect().await, "GET /metrics").await;
    let (head, body) = all.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains(text::CONTENT_TYPE), "{head}");
    assert_eq!(body, text::expose(&Fixed.figures()));
    let head = ask(connect().await, "HEAD /metrics").await;
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(ask(connect().await, "GET /").await.starts_with("HTTP/1.1 404"));
    assert!(ask(connect().await, "POST /metrics").await.starts_with("HTTP/1.1 405"));
    assert!(ask(connect().await, "nonsense").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test(start_paused = true)]
async fn those_who_say_nothing_keep_nobody_out_for_long() {
    let (address, _stop) = served().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // All are cut off once their time is over.
    for connection in &mut silent {
        let mut nothing = Vec::new();
        connection.read_to_end(&mut nothing).await.unwrap();
        assert!(nothing.is_empty());
    }
    let all = ask(TcpStream::connect(address).await.unwrap(), "GET /metrics").await;
    assert!(all.starts_with("HTTP/1.1 200 OK"), "{all}");
}

#[tokio::test]
async fn a_unix_socket_is_for_the_own_group_and_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sock");
    let listener = Listener::bind(&MetricsAddress::Unix(path.clone())).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    let stop = CancellationToken::new();
    let served = tokio::spawn(listener.serve(Arc::new(Fixed), stop.clone()));
    let all = ask(UnixStream::connect(&path).await.unwrap(), "GET /metrics").await;
    assert!(all.contains("lake_network_lag_ledgers{network=\"mainnet\"} 2\n"), "{all}");
    stop.cancel();
    served.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_by_name() {
    let (address, _stop) = served().await;
    let error = Listener::bind(&MetricsAddress::Tcp(address)).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
