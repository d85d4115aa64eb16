//! Layers, origins, and what is refused with which words.

use std::{fs, path::Path};

use super::*;

fn load(text: &str) -> Result<Settings, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lake.yaml");
    fs::write(&path, text).unwrap();
    Settings::from_layers(&Layers::load(Some(&path))?)
}

fn refusal(text: &str) -> String {
    load(text).map(|_| ()).expect_err(text).to_string()
}

#[test]
fn the_built_in_layer_is_valid_by_itself() {
    let settings = load("").unwrap();
    assert!(settings.networks.is_empty());
    assert_eq!(settings.lake.path, Path::new("/var/lib/stellar-lake"));
}

#[test]
fn every_example_is_valid() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples");
    let mut count = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let layers = Layers::load(Some(&path)).unwrap_or_else(|e| panic!("{e}"));
        let settings = Settings::from_layers(&layers).unwrap_or_else(|e| panic!("{e}"));
        assert!(!settings.networks.is_empty(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 3);
}

/// Mistakes D40, D44 of the reference.
#[test]
fn an_unknown_key_is_refused_with_its_place_and_a_suggestion() {
    let message = refusal("lake:\n  path: /tmp/x\nnetworks:\n  - name: testnet\n    sorce: {}\n");
    assert!(message.contains("lake.yaml:5:5"), "{message}");
    assert!(
        message.contains("unknown key `sorce`") && message.contains("did you mean `source`?"),
        "{message}"
    );
    let message = refusal("zebra: 1\n");
    assert!(message.contains("known keys: lake, networks"), "{message}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let network = |rest: &str| format!("networks:\n  - {{ name: testnet, {rest} }}\n");
    let cases = [
        (network("start: 5"), "needs a `source`"),
        (network("source: {}"), "exactly one kind"),
        (network("source: { filesystem: { path: /a }, replay: { path: /b } }"), "exactly one kind"),
        (network("source: { filesystem: {} }"), "needs a `path`"),
        (network("source: { filesystem: { path: /a, latency: 2m } }"), "use at most 1m"),
        (network("source: { filesystem: { path: /a, latency: 40 } }"), "not a duration"),
        (network("source: { filesystem: { path: /a, bandwidth: 0 } }"), "use 64KiB to 16GiB"),
        (network("source: { simulated: { density: thick } }"), "sparse, mixed, dense"),
        (network("source: { simulated: { ledgers_per_second: 0 } }"), "out of range"),
        (network("source: { simulated: {} }, start: 9, end: 8"), "`end` 8 is before `start` 9"),
        (network("source: { simulated: {} }, start: tomorrow"), "`oldest`, `latest` or a ledger sequence"),
        ("networks: [{ name: mynet, source: { simulated: {} } }]".to_owned(), "needs a `passphrase`"),
        ("networks: [{ name: My-Net, source: { simulated: {} } }]".to_owned(), "use a-z, 0-9 and _"),
        (
            "networks: [{ name: main, passphrase: x, source: { simulated: {} } }]".to_owned(),
            "keeps for itself",
        ),
        ("batch: { max_age: 0s }".to_owned(), "longer than 0"),
        ("batch: { max_bytes: 12 parsecs }".to_owned(), "not a size"),
        ("lake: { compression_level: 99 }".to_owned(), "use 1 to 22"),
        ("log: { format: xml }".to_owned(), "auto, journald, text or json"),
        ("lake: [".to_owned(), "lake.yaml:"),
    ];
    for (text, expected) in cases {
        let message = refusal(&text);
        assert!(message.contains(expected), "{text}\n{message}");
    }
}

/// Mistakes D38, D39 of the reference.
#[test]
fn networks_get_known_passphrases_and_may_be_many() {
    let settings = load(
        "networks:\n  - { name: mainnet, source: { filesystem: { path: /srv/x } }, start: 60000000, end: 60000499 }\n  \
         - { name: testnet, source: { simulated: { density: sparse, ledgers_per_second: 1 } }, start: latest }\n",
    )
    .unwrap();
    assert_eq!(settings.networks.len(), 2);
    assert!(settings.networks[0].passphrase.starts_with("Public Global Stellar Network"));
    assert_eq!(settings.networks[0].start, StartText::Ledger(60_000_000));
    assert_eq!(settings.networks[1].start, StartText::Latest);
}

#[test]
fn a_directory_keeps_its_line_as_history_too() {
    let settings = load(
        "networks:\n  - { name: testnet, source: { filesystem: { path: /a, latency: 40ms, bandwidth: 50MiB } } }\n",
    )
    .unwrap();
    let expected = SourceSettings::Filesystem {
        timeout: READ_TIMEOUT,
        path: "/a".into(),
        latency: std::time::Duration::from_millis(40),
        bandwidth: Some(50 << 20),
    };
    assert_eq!(settings.networks[0].source, expected);
    assert_eq!(settings.networks[0].history, expected);
}

#[test]
fn a_missing_file_is_named() {
    let error = Layers::load(Some(Path::new("/nonexistent/lake.yaml"))).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/lake.yaml"), "{error}");
}

#[test]
fn a_dump_says_where_each_value_comes_from_and_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.yaml");
    fs::write(
        &path,
        "batch: { max_ledgers: 7 }\nnetworks:\n  - { name: testnet, source: { simulated: {} } }\n",
    )
    .unwrap();
    let layers = Layers::load(Some(&path)).unwrap();
    let dump = layers.dump();
    assert!(dump.contains(&format!("max_ledgers: 7  # {}", path.display())), "{dump}");
    assert!(dump.contains("max_age: 1s  # built in"), "{dump}");
    let again = folder.path().join("again.yaml");
    fs::write(&again, &dump).unwrap();
    let read = Settings::from_layers(&Layers::load(Some(&again)).unwrap()).unwrap();
    assert_eq!(read.batch.max_ledgers, 7);
    assert_eq!(read.networks.len(), 1);
}

#[test]
fn a_later_layer_replaces_a_network_by_its_name_and_other_values_key_by_key() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("10-a.yaml"), folder.path().join("20-b.yaml"));
    fs::write(
        &first,
        "batch: { max_ledgers: 7, max_age: 3s }\nnetworks:\n  - { name: testnet, source: { simulated: { seed: 1 } }, end: 9 }\n  \
         - { name: futurenet, source: { simulated: {} } }\n",
    )
    .unwrap();
    fs::write(
        &second,
        "batch: { max_ledgers: 8 }\nnetworks:\n  - { name: testnet, source: { simulated: { seed: 2 } } }\n",
    )
    .unwrap();
    let layers = Layers::of_files(vec![first.clone(), second.clone()]).unwrap();
    let settings = Settings::from_layers(&layers).unwrap();
    assert_eq!(settings.batch.max_ledgers, 8);
    assert_eq!(settings.batch.max_age.as_secs(), 3);
    assert_eq!(settings.networks.len(), 2);
    assert_eq!(settings.networks[0].end, None, "the whole entry is replaced");
    assert_eq!(layers.origin("batch.max_ledgers"), &Origin::File(second.clone()));
    assert_eq!(layers.origin("batch.max_age"), &Origin::File(first.clone()));
    assert_eq!(layers.origin("networks[0].source"), &Origin::File(second));
    assert_eq!(layers.origin("networks[1]"), &Origin::File(first));
    assert_eq!(layers.origin("queue.capacity"), &Origin::BuiltIn);
}
