//! `lakectl backfill`, `gaps` and `repair` as programs, against a service with canned answers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests may fail")]

mod stub;

use lake_proto::v1::{
    BackfillJob, BackfillPlan, BackfillState, BackfillTarget, PlanTime, StartBackfillRequest, Workers,
    backfill_target::{Gaps, Ledgers},
    workers::{Auto, Count},
};
use serde_json::json;
use stub::{Books, Stub, ended, fixed, job, network, range};

fn plan() -> BackfillPlan {
    let time =
        |workers, seconds| PlanTime { workers, time: Some(prost_types::Duration { seconds, nanos: 0 }) };
    BackfillPlan {
        network: "mainnet".to_owned(),
        missing: vec![range(2, 999), range(2_000, 60_000_000)],
        ledgers: 59_998_999,
        stored: 1_000,
        chunks: 117_186,
        objects: Some(59_998_999),
        fetch_bytes: Some(3 * 1024 * 1024 * 1024 * 1024),
        xdr_bytes: 30 * 1024 * 1024 * 1024 * 1024,
        rows: 123_456_789_012,
        disk_bytes: 5 * 1024 * 1024 * 1024 * 1024,
        disk_free_bytes: 6 * 1024 * 1024 * 1024 * 1024,
        times: vec![time(1, 86_400 * 30), time(10, 86_400 * 3 + 3_600)],
        cost_usd: Some(24.005),
        sampled_ledgers: 1_024,
    }
}

fn one_network() -> Books {
    Books { networks: vec![network("mainnet", &[])], plan: Some(plan()), ..Books::default() }
}

fn started(network: &str, ledgers: Ledgers, workers: Option<Workers>) -> StartBackfillRequest {
    let target = Some(BackfillTarget { network: network.to_owned(), ledgers: Some(ledgers) });
    StartBackfillRequest { target, workers, force: false }
}

#[test]
fn a_start_says_what_was_asked_for() {
    let stub = Stub::serve(one_network());
    let out = stub.ctl("backfill start --network mainnet --from 2 --to 60,000,000 --workers 10").done();
    assert_eq!(
        out,
        "job 1  mainnet  running  45,000 of 60,000 ledgers  75.0%  123.5 ledgers/s  left 2m01s  workers 8 of 10, \
         limited by source  parked 64\nwatch it: lakectl backfill watch 1\n"
    );
    stub.ctl("backfill start --network testnet --gaps --workers auto").done();
    stub.ctl("backfill start --network testnet --last 100_000 --force").done();
    let auto = Some(Workers { count: Some(Count::Auto(Auto {})) });
    let forced = started("testnet", Ledgers::Last(100_000), None);
    assert_eq!(
        stub.books().started,
        [
            started("mainnet", Ledgers::Range(range(2, 60_000_000)), fixed(10)),
            started("testnet", Ledgers::Gaps(Gaps {}), auto),
            StartBackfillRequest { force: true, ..forced },
        ]
    );
    assert_eq!(stub.ctl("backfill start --last 5 --output json").json()["id"], json!(4));
}

#[test]
fn the_only_network_need_not_be_named() {
    let stub = Stub::serve(one_network());
    stub.ctl("backfill start --last 5").done();
    assert_eq!(stub.books().started, [started("mainnet", Ledgers::Last(5), None)]);

    let networks = vec![network("mainnet", &[]), network("testnet", &[])];
    let stub = Stub::serve(Books { networks, ..Books::default() });
    let words = stub.ctl("backfill start --last 5").failed(64);
    assert!(words.contains("mainnet, testnet") && words.contains("--network"), "{words}");
    assert_eq!(stub.books().started, []);

    let stub = Stub::serve(Books::default());
    assert!(stub.ctl("backfill start --last 5").failed(66).contains("no networks"), "none");
}

#[test]
fn wrong_words_never_reach_the_daemon() {
    // No daemon listens at all: a call would end with 69.
    let stub = Stub::serve(Books::default());
    let wrong = |line: &str, has: &str| {
        let output = stub.command(line).env("LAKECTL_SOCKET", "/nowhere").output().unwrap();
        let words = stub::Ran::from(output).failed(64);
        assert!(words.contains(has), "{line}: {words}");
    };
    wrong("backfill start --workers 10", "--from LEDGER and --to LEDGER");
    wrong("backfill start --network mainnet", "--last");
    wrong("backfill start --from 10 --to 9", "--to 9 is before --from 10");
    wrong("backfill start --from 10", "--to <LEDGER>");
    wrong("backfill start --from 0 --to 9", "at least 1");
    wrong("backfill start --from 2,60000000 --to 9", "60,000,000");
    wrong("backfill start --gaps --last 9", "cannot be used with");
    wrong("backfill start --gaps --workers 65", "1 to 64, or auto");
    wrong("backfill start --gaps --network=", "--network");
    wrong("backfill pause", "<JOB>");
    wrong("backfill show 0", "0 is not in");
    wrong("backfill set 3", "--workers");
    wrong("backfill watch --interval 0", "at least 0.1");
    assert!(stub.books().calls.is_empty() && stub.books().started.is_empty());
}

#[test]
fn a_plan_starts_nothing() {
    let stub = Stub::serve(one_network());
    let out = stub.ctl("backfill start --from 2 --to 60000000 --workers 10 --dry-run").done();
    let expected = "\
plan for mainnet; nothing was started
ledgers    59,998,999 to fetch, 1,000 stored already
           2..999
           2,000..60,000,000
chunks     117,186
objects    59,998,999
fetch      3,072 GiB compressed, 30,720 GiB of XDR
rows       123,456,789,012
disk       5,120 GiB needed, 6,144 GiB free
time       30d00h with 1 worker
           3d01h with 10 workers
cost       24.00 USD
measured   on 1,024 ledgers
";
    assert_eq!(out, expected);
    let target = started("mainnet", Ledgers::Range(range(2, 60_000_000)), None).target;
    assert_eq!(stub.books().planned.first(), target.as_ref());
    assert_eq!(stub.books().started, []);

    let plan = stub.ctl("backfill start --gaps --dry-run --output json").json();
    assert_eq!(plan["missing"][1], json!({"first": 2_000, "last": 60_000_000}));
    assert_eq!(plan["times"][1], json!({"workers": 10, "seconds": 262_800}));
    assert_eq!(plan["ledgers"], json!(59_998_999));
    assert_eq!(plan["ledgers_stored"], json!(1_000));
    assert_eq!(plan["fetch_bytes"], json!(3_298_534_883_328_u64));
    assert_eq!(plan["cost_usd"], json!(24.005));
}

#[test]
fn a_plan_tells_unknown_from_none_and_full_from_empty() {
    let small = BackfillPlan {
        missing: (0..25).map(|step| range(step * 10 + 1, step * 10 + 2)).collect(),
        objects: None,
        fetch_bytes: None,
        cost_usd: None,
        disk_free_bytes: 1_024,
        ..plan()
    };
    let stub = Stub::serve(Books { plan: Some(small), ..one_network() });
    let out = stub.ctl("backfill start --gaps --dry-run").done();
    for line in [
        "           191..192\n           and 5 more ranges\n",
        "objects    unknown\n",
        "fetch      unknown compressed",
        "free\n           NOT ENOUGH: make room, or start with --force\n",
        "cost       unknown: no prices",
    ] {
        assert!(out.contains(line), "{line:?} in {out}");
    }
    let json = stub.ctl("backfill start --gaps --dry-run --output json").json();
    assert_eq!(
        (&json["objects"], &json["fetch_bytes"], &json["cost_usd"]),
        (&json!(null), &json!(null), &json!(null))
    );
    assert_eq!(json["missing"].as_array().map(Vec::len), Some(25));
    let words = stub.ctl("backfill start --gaps").failed(73);
    assert!(words.contains("too small"), "{words}");
    stub.ctl("backfill start --gaps --force").done();

    let nothing = BackfillPlan { ledgers: 0, missing: Vec::new(), ..plan() };
    let stub = Stub::serve(Books { plan: Some(nothing), ..one_network() });
    let out = stub.ctl("backfill start --gaps --dry-run").done();
    assert_eq!(out, "mainnet: nothing to do, 1,000 stored already\n");
}

#[test]
fn jobs_are_listed_and_shown() {
    let stopped = BackfillJob {
        id: 2,
        network: "testnet".to_owned(),
        reason: "disk\nfull".to_owned(),
        ..ended(BackfillState::Stopped, 0)
    };
    let stub = Stub::serve(Books { jobs: vec![job(), stopped], ..Books::default() });
    let out = stub.ctl("backfill list").done();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(
        lines[0],
        "JOB  NETWORK  STATE    LEDGERS WANTED            STORED    DONE  PARKED  LEDGERS/S   LEFT                     WORKERS"
    );
    assert_eq!(
        lines[1],
        "3    mainnet  running  1..60,000       45,000 of 60,000   75.0%      64      123.5  2m01s  8 of 10, limited by source"
    );
    assert!(lines[2].starts_with("2    testnet  stopped  1..60,000"), "{out}");
    assert_eq!(lines[3], "job 2: disk full");
    assert_eq!(stub.ctl("backfill list --network nobody").done(), "no jobs\n");
    let listed = stub.ctl("backfill list --network testnet --output json").json();
    assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["jobs"][0]["state"], json!("stopped"));

    let expected = "\
job 3  mainnet  running
wanted     1..60,000
progress   45,000 of 60,000 ledgers  75.0%
rate       123.5 ledgers/s  left 2m01s
workers    8 of 10, limited by source
written    5 GiB
started    2023-11-14T22:13:20Z
parked, 64 ledgers:
  2023-11-14T22:14:20Z  129..192  ledger 130: no such object  see /lake/quarantine/130
at work:
  45,001..45,512  300 of 512
  45,513..46,024  0 of 512  retrying: 503 slow down
history:
  2023-11-14T22:13:20Z  started with 4 workers
  2023-11-14T22:13:50Z  10 workers
";
    assert_eq!(stub.ctl("backfill show 3").done(), expected);
    assert!(stub.ctl("backfill show 2").done().contains("reason     disk full\n"));
    assert!(stub.ctl("backfill show 9").failed(66).contains("there is no job 9"));
}

#[test]
fn a_job_in_json_has_every_field() {
    let stub = Stub::serve(Books { jobs: vec![job()], ..Books::default() });
    let expected = json!({
        "id": 3,
        "network": "mainnet",
        "state": "running",
        "reason": "",
        "wanted": [{"first": 1, "last": 60_000}],
        "ledgers_wanted": 60_000,
        "ledgers_stored": 45_000,
        "ledgers_parked": 64,
        "ledgers_per_second": 123.45,
        "remaining_seconds": 121,
        "bytes_written": 5_368_709_120_u64,
        "workers": {"auto": false, "asked": 10, "active": 8, "limited_by": "source"},
        "parked": [{
            "first": 129,
            "last": 192,
            "reason": "ledger 130:\nno such object",
            "evidence": "/lake/quarantine/130",
            "at": "2023-11-14T22:14:20.123Z",
        }],
        "active": [
            {"first": 45_001, "last": 45_512, "ledgers_done": 300, "retrying": ""},
            {"first": 45_513, "last": 46_024, "ledgers_done": 0, "retrying": "503 slow down"},
        ],
        "created_at": "2023-11-14T22:13:20.123Z",
        "ended_at": null,
        "history": [
            {"at": "2023-11-14T22:13:20.123Z", "what": "started with 4 workers"},
            {"at": "2023-11-14T22:13:50.123Z", "what": "10 workers"},
        ],
    });
    assert_eq!(stub.ctl("backfill show 3 --output json").json(), expected);
}

#[test]
fn jobs_are_steered() {
    let stub = Stub::serve(Books { jobs: vec![job()], ..Books::default() });
    assert!(stub.ctl("backfill pause 3").done().starts_with("job 3  mainnet  paused  45,000"));
    assert_eq!(stub.ctl("backfill resume 3 --output json").json()["state"], json!("running"));
    assert!(stub.ctl("backfill set 3 --workers 20").done().contains("workers 8 of 20,"));
    let automatic = stub.ctl("backfill set 3 --workers auto --output json").json();
    assert_eq!(
        automatic["workers"],
        json!({"auto": true, "asked": null, "active": 8, "limited_by": "source"})
    );
    assert!(stub.ctl("backfill cancel 3").done().starts_with("job 3  mainnet  cancelled"));
    assert_eq!(
        stub.books().calls,
        ["pause 3", "resume 3", "set 3 Some(Fixed(20))", "set 3 Some(Auto(Auto))", "cancel 3"]
    );
    assert!(stub.ctl("backfill pause 3").failed(73).contains("job 3 is cancelled"));
    for verb in ["pause", "resume", "cancel", "set --workers 1"] {
        assert!(stub.ctl(&format!("backfill {verb} 9")).failed(66).contains("no job 9"), "{verb}");
    }
}

#[test]
fn gaps_are_listed_and_told_by_the_exit_code() {
    let networks = vec![network("mainnet", &[(5, 9), (500, 500)]), network("testnet", &[])];
    let stub = Stub::serve(Books { networks, ..Books::default() });
    let gaps = stub.ctl("gaps");
    assert_eq!(gaps.code, 1);
    assert_eq!(
        gaps.stdout,
        "mainnet: 1..1,000: 6 missing in 2 gaps\n  5..9  removed\n  500..500  removed\ntestnet: 1..1,000: no gaps\n"
    );
    let json = stub.ctl("gaps --output json");
    assert_eq!(json.code, 1);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["complete"], json!(false));
    assert_eq!(
        json["networks"][0],
        json!({
            "name": "mainnet",
            "first_ledger": 1,
            "last_ledger": 1_000,
            "missing_ledgers": 6,
            "gaps": [
                {"first": 5, "last": 9, "reason": "removed", "damaged": false},
                {"first": 500, "last": 500, "reason": "removed", "damaged": false},
            ],
        })
    );
    assert_eq!(stub.ctl("gaps --network testnet").done(), "testnet: 1..1,000: no gaps\n");
    assert!(stub.ctl("gaps --network nobody").failed(66).contains("no network nobody"));
}

#[test]
fn a_repair_starts_one_job_per_network_with_gaps() {
    let networks = vec![network("a", &[(5, 9)]), network("b", &[]), network("c", &[(7, 7), (9, 9)])];
    let stub = Stub::serve(Books { networks: networks.clone(), ..Books::default() });
    let out = stub.ctl("repair --workers 2").done();
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.contains("\n1    a ") && out.contains("\n2    c "), "{out}");
    let gaps = |network| started(network, Ledgers::Gaps(Gaps {}), fixed(2));
    assert_eq!(stub.books().started, [gaps("a"), gaps("c")]);
    assert_eq!(stub.ctl("repair --network b").done(), "no gaps\n");
    assert_eq!(stub.ctl("repair --network b --output json").json(), json!({"jobs": []}));

    let stub = Stub::serve(Books { networks, busy: "a".to_owned(), ..Books::default() });
    let ran = stub.ctl("repair --output json");
    assert_eq!(ran.code, 73);
    let jobs: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(jobs["jobs"][0]["network"], json!("c"));
    assert_eq!(ran.stderr, "lakectl: a: job 7 wants ledgers 5..9\n  until it is over\n");
}

#[test]
fn help_is_the_manual() {
    let stub = Stub::serve(Books::default());
    let verbs = ["start", "watch", "list", "show", "pause", "resume", "cancel", "set"];
    let lines = verbs.map(|verb| format!("backfill {verb} --help"));
    for line in lines.iter().map(String::as_str).chain(["gaps --help", "repair --help"]) {
        let help = stub.ctl(line).done();
        assert!(help.contains("Examples:\n  lakectl ") && help.contains("\nExit codes:\n  0 "), "{help}");
    }
}

#[test]
fn without_a_daemon_every_call_ends_with_69() {
    let stub = Stub::serve(Books::default());
    for line in ["backfill list", "backfill watch", "gaps", "repair", "backfill start --network a --gaps"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lakectl"));
        let socket = stub.socket().with_extension("gone");
        command.arg("--socket").arg(socket).args(line.split_whitespace());
        let words = stub::Ran::from(command.output().unwrap()).failed(69);
        assert!(words.contains("cannot reach the daemon"), "{line}: {words}");
    }
}
