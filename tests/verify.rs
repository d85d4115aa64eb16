//! What is stored is proven, and healed when it is not: deleted rows, damaged files, found and stored anew.

#![allow(clippy::indexing_slicing, reason = "a field of JSON that is not there is null")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Output,
    thread,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use lake_core::{decode::decode, ledger};
use lake_sim::Density;
use lake_testkit::{LakeReader, Model, Network, Settings, Sut, compare};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);
const NAME: &str = "everything";
const LAST: u32 = 230;

fn network(seed: u64) -> Network {
    Network::simulated(NAME, Density::Everything, seed, None).until(LAST)
}

fn settings(seed: u64) -> Settings {
    Settings::of([network(seed)]).with("batch: { max_ledgers: 40 }\nmaintenance: { enabled: false }")
}

/// A daemon whose network is stored to its end: ledgers 2 to 230 in batches of 40 at most.
fn finished() -> Sut {
    let mut sut = Sut::new(&settings(5));
    sut.start();
    sut.wait_status("the network is finished", DEADLINE, |status| status.network(NAME).state == "finished");
    sut
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

/// What `lakectl verify` finds, and its summary; its exit code says the same.
fn verify(sut: &Sut, args: &[&str]) -> (Vec<Value>, Value) {
    let output = sut.ctl(["verify", "--output", "json"].iter().chain(args));
    let parts = lines(&output);
    let findings: Vec<Value> = parts.iter().filter_map(|part| part.get("finding")).cloned().collect();
    let summary = parts.last().and_then(|part| part.get("summary")).cloned();
    let summary = summary.unwrap_or_else(|| panic!("no summary: {output:?}\n{}", sut.log()));
    assert_eq!(summary["findings"], findings.len());
    assert_eq!(output.status.code(), Some(i32::from(!findings.is_empty())), "{findings:#?}");
    (findings, summary)
}

fn assert_sound(sut: &Sut, args: &[&str]) -> Value {
    let (findings, summary) = verify(sut, args);
    assert!(findings.is_empty(), "{findings:#?}");
    summary
}

/// The gaps that `lakectl gaps` lists; its exit code says whether there are any.
fn gaps(sut: &Sut) -> Vec<Value> {
    let output = sut.ctl(["gaps", "--output", "json"]);
    let gaps = lines(&output)[0]["networks"][0]["gaps"].as_array().cloned().expect("an array of gaps");
    assert_eq!(output.status.code(), Some(i32::from(!gaps.is_empty())), "{output:?}");
    gaps
}

/// Starts the repair and waits for its job.
fn repair(sut: &Sut) {
    let output = sut.ctl(["repair", "--output", "json"]);
    assert!(output.status.success(), "{output:?}\n{}", sut.log());
    let output = sut.ctl(["backfill", "watch"]);
    assert!(output.status.success(), "{output:?}\n{}", sut.log());
}

/// Number and hash of all rows of every table, but for the time of ingestion.
fn content(lake: &LakeReader) -> Vec<(String, String)> {
    let tables = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake' AND table_schema = '{NAME}' \
         AND table_type = 'BASE TABLE' AND table_name <> '_lineage' ORDER BY 1"
    );
    let tables = lake.texts(&tables, 1).expect("the catalog lists the tables");
    assert!(tables.len() >= 20, "{tables:?}");
    let of_table = |table: String| {
        let columns = if table == "ledgers_row_v2" { "* EXCLUDE (ingestion_timestamp)" } else { "*" };
        let sql = format!(
            "SELECT count(*) || ' ' || coalesce(sum(hash(t::VARCHAR)::HUGEINT), 0) FROM (SELECT {columns} FROM {NAME}.{table}) t"
        );
        let value = lake.value(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        (table, value)
    };
    tables.into_iter().flatten().flatten().map(of_table).collect()
}

/// Every table has its rows again, the model agrees, and nothing is found.
fn assert_healed(sut: &Sut, before: &[(String, String)]) {
    assert_eq!(gaps(sut), Vec::<Value>::new());
    assert_sound(sut, &[]);
    let lake = sut.reader();
    assert_eq!(content(&lake), before);
    let (last, differences) = compare(&lake, NAME, &mut Model::of(&network(5)));
    assert_eq!(last, LAST);
    differences.assert_none("after the repair");
}

/// The live file of a table's batch that holds a ledger, and the batch's ledgers.
fn file_of(sut: &Sut, table: &str, ledger: u32) -> (PathBuf, u32, u32) {
    let files = sut.reader().live_files(NAME).expect("the catalog lists the files");
    let mut of_ledger = files.into_iter().filter_map(|(path, _)| {
        path.parent()?.ends_with(table).then_some(())?;
        let name = path.file_name()?.to_str()?.to_owned();
        let (first, last) = (name.get(..10)?.parse().ok()?, name.get(11..21)?.parse().ok()?);
        (first..=last).contains(&ledger).then_some((path, first, last))
    });
    of_ledger.next().unwrap_or_else(|| panic!("{table}: no file of ledger {ledger}"))
}

#[test]
fn rows_deleted_through_sql_are_found_explained_and_healed() {
    let mut sut = finished();
    let before = content(&sut.reader());
    let summary = assert_sound(&sut, &["--against-source"]);
    let human = sut.ctl(["verify", "--network", NAME, "--from", "41", "--to", "100"]);
    let text = String::from_utf8_lossy(&human.stdout);
    assert!(text.starts_with("sound: nothing found\n60 ledgers, 60 headers, "), "{text}");
    assert_eq!((&summary["ledgers"], &summary["headers"]), (&Value::from(LAST - 1), &Value::from(LAST - 1)));
    let rows: u64 =
        before.iter().map(|(_, rows)| rows.split(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!((&summary["rows"], &summary["rows_compared"]), (&Value::from(rows), &Value::from(rows)));

    let user = LakeReader::open_writing(sut.lake()).expect("the lake can be opened for writing");
    let delete = |table: &str, ledgers: &str| {
        let column = if table == "ledgers_row_v2" { "sequence" } else { "ledger_sequence" };
        user.run(&format!("DELETE FROM lake.{NAME}.{table} WHERE {column} {ledgers}"))
            .expect("rows can be deleted");
    };
    // A few ledgers of all tables, within a batch and over the ends of two.
    for (table, _) in &before {
        delete(table, "BETWEEN 70 AND 90");
    }
    let found = gaps(&sut);
    let gap: Vec<&Value> = found.iter().filter(|gap| gap["damaged"] == false).collect();
    assert_eq!(gap.len(), 1, "{found:#?}");
    assert_eq!((&gap[0]["first"], &gap[0]["last"]), (&Value::from(70), &Value::from(90)));
    assert!(gap[0]["reason"].as_str().is_some_and(|why| why.contains("removed by hand")), "{gap:#?}");
    let (findings, _) = verify(&sut, &[]);
    assert!(
        findings.iter().any(|f| f["kind"] == "gap" && f["first"] == 70 && f["last"] == 90),
        "{findings:#?}"
    );
    repair(&sut);
    assert_healed(&sut, &before);

    // The newest ledgers, of one table after the other: some rows, and all of a file.
    delete("ledgers_row_v2", ">= 225");
    delete("transactions_row_v2", "BETWEEN 30 AND 31");
    let (_, first, last) = file_of(&sut, "effects_row_v1", 150);
    delete("effects_row_v1", &format!("BETWEEN {first} AND {last}"));
    assert_eq!(gaps(&sut).len(), 1, "rows of other tables are no gaps, until they are looked at");
    let (findings, _) = verify(&sut, &[]);
    for (table, ledger) in [("ledgers_row_v2", 226), ("transactions_row_v2", 30), ("effects_row_v1", 150)] {
        let is_it = |f: &&Value| {
            f["table"] == table && f["first"].as_u64() <= Some(ledger) && f["last"].as_u64() >= Some(ledger)
        };
        assert!(findings.iter().any(|f| is_it(&f)), "{table}: {findings:#?}");
    }
    assert!(gaps(&sut).len() >= 3);
    // What was found outlives the daemon.
    assert!(sut.terminate().success());
    sut.start();
    assert!(gaps(&sut).len() >= 3);
    repair(&sut);
    assert_healed(&sut, &before);
    assert_sound(&sut, &["--against-source"]);
}

/// One thing that can happen to a file.
type Harm = (&'static str, fn(&Path));

#[test]
fn damaged_files_are_found_by_name_and_healed() {
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).expect("the file is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(path, bytes).expect("the file can be written");
    };
    let cut = |path: &Path| {
        let file = fs::File::options().write(true).open(path).expect("the file is there");
        let length = file.metadata().expect("it has a length").len();
        file.set_len(length - 100).expect("it can be cut");
    };
    let remove = |path: &Path| fs::remove_file(path).expect("the file is there");
    let harms: [Harm; 3] = [("flipped", flip), ("cut", cut), ("removed", remove)];
    let tables = ["ledgers_row_v2", "transactions_row_v2", "contract_events_stream_v1", "_lineage"];

    let mut sut = finished();
    let before = content(&sut.reader());
    for (round, (how, harm)) in harms.into_iter().enumerate() {
        let mut harmed = Vec::new();
        for (table, ledger) in tables.into_iter().zip([20, 60, 100, 190]) {
            // No hash of the lineage's own files is kept anywhere: a byte of them may go unnoticed.
            if table == "_lineage" && how == "flipped" {
                continue;
            }
            let (path, first, last) = file_of(&sut, table, ledger);
            harm(&path);
            harmed.push((table, path, first, last));
        }
        // The start of a daemon sees what a name and a size tell.
        if how == "removed" {
            assert!(sut.terminate().success());
            sut.start();
        }
        let (findings, _) = verify(&sut, &[]);
        for (table, path, first, last) in &harmed {
            let path = path.display().to_string();
            let is_it = |f: &&Value| f["file"] == path.as_str() && f["heals"] == true;
            let finding =
                findings.iter().find(is_it).unwrap_or_else(|| panic!("{how} {path}: {findings:#?}"));
            assert_eq!((&finding["first"], &finding["last"]), (&Value::from(*first), &Value::from(*last)));
            assert_eq!(finding["table"], *table);
            let gaps = gaps(&sut);
            let is_listed = |gap: &Value| gap["reason"].as_str().is_some_and(|why| why.contains(&path));
            assert!(gaps.iter().any(is_listed), "{how} {path}: {gaps:#?}");
        }
        assert_eq!(findings.len(), harmed.len(), "{how}: one finding for one file: {findings:#?}");
        repair(&sut);
        assert_healed(&sut, &before);
        assert!(round < 3);
    }
    assert!(!sut.lake().join("replacing").exists());
    assert!(sut.terminate().success());
}

/// Serves a folder's files over HTTP on loopback, each after one answer of 503.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
    let address = format!("http://{}", listener.local_addr().expect("it is bound"));
    thread::spawn(move || {
        let mut asked = BTreeSet::new();
        for mut stream in listener.incoming().flatten() {
            let mut request = String::new();
            let line = BufReader::new(&stream).read_line(&mut request);
            let Some(path) = line.ok().and_then(|_| request.split(' ').nth(1)) else { continue };
            let (status, body) = match fs::read(folder.join(path.trim_start_matches('/'))) {
                _ if asked.insert(path.to_owned()) => ("503 Service Unavailable", Vec::new()),
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // A client that went away asks again.
            drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
        }
    });
    address
}

#[test]
fn raw_xdr_that_was_left_out_is_no_difference_to_the_source() {
    let mut sut = Sut::new(&settings(5).without_raw_xdr());
    sut.start();
    sut.wait_status("the network is finished", DEADLINE, |status| status.network(NAME).state == "finished");
    assert!(sut.terminate().success());
    let lake = sut.reader();
    let one = |column: &str| {
        let sql = format!("SELECT {column} FROM {NAME}.transactions_row_v2");
        lake.value::<i64>(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    assert_eq!(one("count(tx_envelope) + count(tx_result) + count(tx_meta) + count(tx_fee_meta)"), 0);
    assert_eq!(one("count(*) - count(tx_signers)"), 0);
    drop(lake);
    sut.configure(&settings(5));
    sut.start();
    assert_sound(&sut, &["--against-source"]);
}

#[test]
fn rows_that_the_source_does_not_make_and_headers_that_the_archive_does_not_have_are_found() {
    let mut sut = finished();
    // An archive of the same network: the checkpoints 63, 127 and 191.
    let archive = sut.dir().join("archive");
    let mut model = Model::of(&network(5));
    let identity = ledger::Network::new(&network(5).passphrase);
    let mut records = Vec::new();
    for seq in 2..=191 {
        let decoded = decode(&model.close().raw, &identity).expect("simulated ledgers decode");
        let mut entry = decoded.hash.0.to_vec();
        entry.extend_from_slice(&decoded.header_xdr);
        entry.extend_from_slice(&[0; 4]);
        // Another hash of one ledger.
        if seq == 100 {
            entry[0] ^= 1;
        }
        let mark = 0x8000_0000 | u32::try_from(entry.len()).expect("a header is short");
        records.extend_from_slice(&mark.to_be_bytes());
        records.append(&mut entry);
        if seq % 64 == 63 {
            let folder = archive.join("ledger/00/00/00");
            fs::create_dir_all(&folder).expect("a folder can be made");
            let file = fs::File::create(folder.join(format!("ledger-{seq:08x}.xdr.gz"))).expect("a file");
            let mut gz = GzEncoder::new(file, Compression::default());
            gz.write_all(&std::mem::take(&mut records))
                .and_then(|()| gz.finish().map(drop))
                .expect("it is written");
        }
    }
    let archive = archive.display().to_string();
    let (findings, summary) = verify(&sut, &["--archive", &archive, "--to", "191"]);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((&findings[0]["kind"], &findings[0]["first"]), (&Value::from("archive"), &Value::from(100)));
    assert_eq!(findings[0]["heals"], false);
    assert_eq!(summary["headers_anchored"], 190);
    let refused = sut.ctl(["verify", "--archive", "/nonexistent"]);
    assert_eq!(refused.status.code(), Some(64), "{refused:?}");

    // The same over HTTP, from a server that fails each file's first request; an archive there says what it is.
    let address = serve(Path::new(&archive).to_path_buf());
    let refused = sut.ctl(["verify", "--archive", &address]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stellar-history.json"), "{refused:?}");
    let root = Path::new(&archive).join(".well-known/stellar-history.json");
    fs::create_dir_all(root.parent().expect("it has a folder")).expect("a folder can be made");
    for (passphrase, code) in [("another", 64), (network(5).passphrase.as_str(), 1)] {
        fs::write(&root, format!(r#"{{"version": 1, "networkPassphrase": "{passphrase}"}}"#))
            .expect("written");
        let output = sut.ctl(["verify", "--archive", &address, "--to", "191"]);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    let (findings, summary) = verify(&sut, &["--archive", &format!("{address}/"), "--to", "230"]);
    let of = |finding: &Value| (finding["first"].as_u64(), finding["last"].as_u64());
    assert_eq!(findings.iter().map(of).collect::<Vec<_>>(), [(Some(100), Some(100)), (Some(192), Some(230))]);
    assert!(findings[1]["problem"].as_str().is_some_and(|text| text.contains("not in the archive")));
    assert_eq!(summary["headers_anchored"], 190);

    // The daemon is given the ledgers of another network of the same passphrase.
    assert!(sut.terminate().success());
    sut.configure(&settings(6));
    sut.start();
    assert_sound(&sut, &[]);
    let (findings, _) = verify(&sut, &["--against-source", "--from", "50", "--to", "60"]);
    let tables: Vec<&str> = findings.iter().filter_map(|f| f["table"].as_str()).collect();
    assert!(tables.contains(&"ledgers_row_v2") && tables.contains(&"operations_row_v2"), "{findings:#?}");
    assert!(findings.iter().all(|f| f["kind"] == "source" && f["heals"] == true), "{findings:#?}");
    // Only the source can tell: a check without it does not forget what it said.
    assert_sound(&sut, &[]);
    assert_eq!(gaps(&sut).len(), findings.len());
    assert!(sut.terminate().success());
    sut.configure(&settings(5));
    sut.start();
    assert_sound(&sut, &["--against-source"]);
    assert!(gaps(&sut).is_empty());
}
