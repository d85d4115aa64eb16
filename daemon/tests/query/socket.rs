//! Status and queries over the control socket, by the generated client and by `lakectl`.

use super::*;

/// A status that a test can change.
struct StandIn(Mutex<Status>);

impl StandIn {
    fn new() -> Self {
        let mainnet = NetworkStatus {
            name: "mainnet".to_owned(),
            state: NetworkState::Following,
            source: "simulated, dense".to_owned(),
            first_ledger: Some(1),
            last_ledger: Some(10),
            tip: Some(12),
            ledgers_per_second: 2.5,
            ..NetworkStatus::default()
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Self(Mutex::new(Status {
            daemon: DaemonStatus {
                version: "9.9.9".to_owned(),
                pid: std::process::id(),
                started_at: at,
                lake_path: "/lake".to_owned(),
                rss_bytes: rss_bytes(),
            },
            networks: vec![mainnet],
            queue: QueueStatus { capacity: 64, submitted: 20, written: 20, ..QueueStatus::default() },
            maintenance: MaintenanceStatus::default(),
            taken_at: at,
        }))
    }

    fn stop(&self, reason: &str) {
        let mut status = self.0.lock().unwrap();
        let at = status.taken_at;
        let network = &mut status.networks[0];
        network.state = NetworkState::Stopped { reason: reason.to_owned() };
        network.last_error = Some(LastError { message: reason.to_owned(), at });
    }
}

impl StatusSource for StandIn {
    fn status(&self) -> Status {
        self.0.lock().unwrap().clone()
    }
}

/// A server on a socket of its own.
struct Server {
    lake: Lake,
    socket: PathBuf,
    status: Arc<StandIn>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), control::ControlError>>,
}

impl Server {
    async fn start() -> Self {
        let lake = Lake::new();
        let socket = lake.root().join("control.sock");
        let (status, shutdown) = (Arc::new(StandIn::new()), CancellationToken::new());
        let bound = ControlSocket::bind(&socket).await.unwrap();
        let executor = Some(lake.executor());
        let task = tokio::spawn(control::serve_on(
            bound,
            status.clone(),
            executor,
            control::Served::default(),
            shutdown.clone(),
        ));
        Self { lake, socket, status, shutdown, task }
    }

    async fn channel(&self) -> Channel {
        let socket = self.socket.clone();
        let connector = tower::service_fn(move |_uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("it stops").unwrap().unwrap();
        assert!(!self.socket.exists(), "the socket file is removed");
    }

    /// Runs lakectl; `None`, loudly, when it is not built.
    async fn lakectl(&self, args: &[&str]) -> Option<Output> {
        lakectl(&self.socket, args, "").await
    }
}

async fn lakectl(socket: &Path, args: &[&str], stdin: &str) -> Option<Output> {
    // target/<profile>/deps/<this test> has lakectl two levels up.
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().unwrap().parent().unwrap().join("lakectl");
    if !binary.exists() {
        eprintln!("SKIPPED: {} is missing, lakectl is not tested: cargo build -p lakectl", binary.display());
        return None;
    }
    let mut command = Command::new(binary);
    command.args(args).env("LAKECTL_SOCKET", socket).env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let stdin = stdin.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        // It may end without reading.
        drop(std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes()));
        child.wait_with_output().unwrap()
    };
    Some(tokio::task::spawn_blocking(run).await.unwrap())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Mistakes D41, D43 of the reference.
#[tokio::test(flavor = "multi_thread")]
async fn status_watch_and_health_come_from_the_status_source() {
    let server = Server::start().await;
    let mut client = ControlServiceClient::new(server.channel().await);
    let status = client.get_status(GetStatusRequest {}).await.unwrap().into_inner().status.unwrap();
    assert_eq!(status.daemon.unwrap().version, "9.9.9");
    assert_eq!(status.networks[0].lag_ledgers, Some(2));

    let health = client.get_health(GetHealthRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.state(), HealthState::Serving);
    let nobody = GetHealthRequest { network: "nobody".to_owned() };
    assert_eq!(client.get_health(nobody).await.unwrap_err().code(), Code::NotFound);

    let interval = Some(Duration::from_millis(100).try_into().unwrap());
    let mut watch = client.watch_status(WatchStatusRequest { interval }).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().unwrap().status.is_some());
    server.status.stop("ledger 11 does not link");
    let health = client.get_health(GetHealthRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.state(), HealthState::NotServing);
    assert_eq!(health.networks[0].reason, "stopped: ledger 11 does not link");

    // An open stream does not hold up the end, and is told why it ends.
    server.shutdown.cancel();
    let end = loop {
        match watch.message().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    drop((watch, client));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_does_not_hold_up_the_end() {
    let server = Server::start().await;
    let silent = UnixStream::connect(&server.socket).await.unwrap();
    let mut client = ControlServiceClient::new(server.channel().await);
    client.get_status(GetStatusRequest {}).await.unwrap();
    server.stop().await;
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_streams_arrow_and_ends_with_a_summary() {
    let server = Server::start().await;
    let mut client = QueryServiceClient::new(server.channel().await);
    let sql = "SELECT i, repeat('x', 1000) AS x FROM range(20000) t(i)".to_owned();
    let request = ExecuteRequest { sql, ..ExecuteRequest::default() };
    let mut parts = client.execute(request).await.unwrap().into_inner();
    let (mut bytes, mut summary, mut count) = (Vec::new(), None, 0);
    while let Some(part) = parts.message().await.unwrap() {
        assert!(summary.is_none(), "nothing follows the summary");
        match part.part.unwrap() {
            Part::ArrowIpc(part) => {
                count += 1;
                bytes.extend_from_slice(&part);
            }
            Part::Summary(last) => summary = Some(last),
        }
    }
    assert!(count > 5, "{count} parts");
    let reader = arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 20_000);
    assert_eq!(summary.unwrap().rows, 20_000);

    let code = |sql: &str| {
        let mut client = client.clone();
        let timeout = Some(Duration::from_millis(500).try_into().unwrap());
        let request = ExecuteRequest { sql: sql.to_owned(), max_rows: 0, timeout };
        async move { client.execute(request).await.unwrap_err().code() }
    };
    assert_eq!(code("DROP TABLE x").await, Code::InvalidArgument);
    assert_eq!(code("SELECT no_such").await, Code::InvalidArgument);
    assert_eq!(code(ENDLESS).await, Code::DeadlineExceeded);
    drop((parts, client));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lakectl_shows_status_and_health_with_documented_exit_codes() {
    let server = Server::start().await;
    let Some(output) = server.lakectl(&["status"]).await else { return server.stop().await };
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let screen = stdout(&output);
    assert!(screen.contains("mainnet  following  1..10            12    2        2.5"), "{screen}");
    assert!(screen.contains("submitted 20"), "{screen}");

    let output = server.lakectl(&["status", "--output", "json"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["networks"][0]["state"], "following");
    assert_eq!(json["networks"][0]["lag_ledgers"], 2);
    assert_eq!(json["daemon"]["started_at"], "2023-11-14T22:13:20Z");

    let output = server.lakectl(&["health"]).await.unwrap();
    assert_eq!((output.status.code(), stdout(&output).lines().next()), (Some(0), Some("healthy")));
    server.status.stop("disk full");
    let output = server.lakectl(&["health", "--output", "json"]).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["networks"][0]["reason"], "stopped: disk full");

    let output = server.lakectl(&["version"]).await.unwrap();
    assert!(stdout(&output).contains("stellar-lake 9.9.9"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lakectl_prints_every_type_right_in_every_format() {
    let server = Server::start().await;
    let sql = "SELECT 9223372036854775807 AS big, 170141183460469231731687303715884105727::HUGEINT AS huge,
        1.50::DECIMAL(10, 2) AS money, TIMESTAMP '2024-01-02 03:04:05.000006' AS at,
        [TIMESTAMPTZ '2024-01-02 03:04:05+02'][1] AS zoned, NULL AS nothing, 'NaN'::DOUBLE AS nan,
        0.1::DOUBLE AS tenth, [1, NULL] AS list, [TIMESTAMPTZ '2024-01-01 00:00:00+00'] AS zones, {'a': 'x\"y', 'b': [true]} AS struct, MAP {'k': 1} AS map,
        DATE '2024-02-29' AS day, 'é, \"q\"' AS text, '' AS empty, '\\xAB'::BLOB AS blob,
        'b'::ENUM('a', 'b') AS word, '00000000-0000-0000-0000-000000000001'::UUID AS uuid";
    let Some(output) = server.lakectl(&["query", sql, "--format", "ndjson"]).await else {
        return server.stop().await;
    };
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = concat!(
        r#"{"big":9223372036854775807,"huge":170141183460469231731687303715884105727,"money":1.50,"#,
        r#""at":"2024-01-02T03:04:05.000006","zoned":"2024-01-02T01:04:05Z","nothing":null,"nan":"NaN","#,
        r#""tenth":0.1,"list":[1,null],"zones":["2024-01-01T00:00:00Z"],"struct":{"a":"x\"y","b":[true]},"map":{"k":1},"day":"2024-02-29","#,
        r#""text":"é, \"q\"","empty":"","blob":"ab","word":"b","#,
        r#""uuid":"00000000-0000-0000-0000-000000000001"}"#,
        "\n"
    );
    assert_eq!(stdout(&output), expected);

    let output = server.lakectl(&["query", sql, "--format", "csv"]).await.unwrap();
    let expected = concat!(
        "big,huge,money,at,zoned,nothing,nan,tenth,list,zones,struct,map,day,text,empty,blob,word,uuid\n",
        "9223372036854775807,170141183460469231731687303715884105727,1.50,2024-01-02T03:04:05.000006,",
        r#"2024-01-02T01:04:05Z,,NaN,0.1,"[1,null]","[""2024-01-01T00:00:00Z""]","{""a"":""x\""y"",""b"":[true]}","{""k"":1}","#,
        r#"2024-02-29,"é, ""q""","",ab,b,00000000-0000-0000-0000-000000000001"#,
        "\n"
    );
    assert_eq!(stdout(&output), expected);

    let output = server.lakectl(&["query", sql, "--format", "json"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["big"], i64::MAX);
    let output = server.lakectl(&["query", sql]).await.unwrap();
    assert!(stdout(&output).contains("NULL"), "{}", stdout(&output));
    let output = server.lakectl(&["query", "FROM range(0)", "--format", "json"]).await.unwrap();
    assert_eq!(stdout(&output), "[]\n");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lakectl_tells_what_is_wrong_and_exits_as_documented() {
    let server = Server::start().await;
    let Some(output) = server.lakectl(&["query", "DROP TABLE mainnet.ledgers_row_v2"]).await else {
        return server.stop().await;
    };
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).starts_with("lakectl: DROP is refused"), "{}", stderr(&output));

    let output = server.lakectl(&["query"]).await.unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    let output = server.lakectl(&["--help"]).await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("Exit codes:"));

    let sql = "SELECT max(sequence) AS m\nFROM mainnet.ledgers_row_v2;\n";
    let output = lakectl(&server.socket, &["query", "-", "--format", "csv"], sql).await.unwrap();
    assert_eq!(stdout(&output), "m\n10\n", "{}", stderr(&output));
    let args = ["query", "FROM range(9)", "--format", "csv", "--max-rows", "2"];
    let output = server.lakectl(&args).await.unwrap();
    assert_eq!(stdout(&output), "range\n0\n1\n");
    assert!(stderr(&output).contains("only the first 2 rows"), "{}", stderr(&output));

    let missing = server.lake.root().join("missing.sock");
    let output = lakectl(&missing, &["health"], "").await.unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(stderr(&output).contains("what to do: start the daemon"), "{}", stderr(&output));
    server.stop().await;
}

#[tokio::test]
async fn lakectl_schema_needs_no_daemon_and_its_sql_makes_the_tables_that_its_json_describes() {
    let nowhere = Path::new("/nowhere/control.sock");
    let run = async |args: &[&str]| lakectl(nowhere, args, "").await;
    let Some(output) = run(&["schema", "--format", "sql", "--network", "testnet"]).await else { return };
    let plain = Connection::open_in_memory().unwrap();
    plain.execute_batch(&String::from_utf8(output.stdout).unwrap()).unwrap();
    let output = run(&["schema", "--format", "json"]).await.unwrap();
    let tables: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut described = 0;
    for table in &tables {
        let columns = table["columns"].as_array().unwrap();
        for column in columns {
            let found: (String, bool, String) = plain
                .query_row(
                    "SELECT data_type, is_nullable, comment FROM duckdb_columns() \
                     WHERE schema_name = 'testnet' AND table_name = ? AND column_name = ?",
                    [table["name"].as_str().unwrap(), column["name"].as_str().unwrap()],
                    |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
                )
                .unwrap();
            assert_eq!(found.0, column["type"], "{column}");
            assert_eq!(found.1, column["nullable"], "{column}");
            assert_eq!(found.2, column["doc"], "{column}");
            described += 1;
        }
        if let Some(view) = table["state"]["view"].as_str() {
            let as_of = table["state"]["as_of"].as_str().unwrap();
            let sql = format!("SELECT count(*) FROM testnet.{view}, testnet.{as_of}(5)");
            assert_eq!(plain.query_row(&sql, [], |r| r.get::<_, i64>(0)).unwrap(), 0, "{sql}");
        }
    }
    assert!(described > 300, "{described}");
    let output = run(&["schema", "ledgers_row_v2"]).await.unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("## ledgers_row_v2\n"));
    let output = run(&["schema", "ledger_row_v2"]).await.unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8(output.stderr).unwrap().contains("did you mean ledgers_row_v2?"));
}
