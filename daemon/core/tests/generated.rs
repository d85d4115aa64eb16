//! Files that are made from the declarations say what the declarations say.

use std::{fs, path::Path};

use lake_core::{
    schema::{LEDGERS_TABLE, TTL_TABLE, TableSpec, fingerprint_of},
    tables::{OLDER_SETS, SPECS, fingerprint, markdown},
};

#[test]
fn generated_documentation_of_the_tables_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/doc/tables.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, markdown()).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == markdown(),
        "{} is not current: UPDATE=1 cargo test -p lake-core generated",
        path.display()
    );
}

#[test]
fn generated_names_are_distinct_and_every_column_is_described() {
    for spec in SPECS {
        let mut names: Vec<_> = spec.columns.iter().map(|column| column.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), spec.columns.len(), "{}", spec.name);
        for column in spec.columns {
            assert!(column.doc.ends_with('.'), "{}.{}: {:?}", spec.name, column.name, column.doc);
        }
        let column = |name: &&str| spec.columns.iter().find(|column| column.name == *name);
        let is_column = |name: &str| column(&name).is_some_and(|column| !column.nullable);
        assert!(is_column(spec.ledger_column), "{}", spec.name);
        // A trustline is of an asset or of a pool: of these the one that it is not of is null.
        let parts = ["asset_code", "asset_issuer", "liquidity_pool_id"];
        for name in spec.key {
            assert!(is_column(name) || parts.contains(name), "{}: the key {name} may be null", spec.name);
        }
        assert!(is_column("ledger_range"), "{}", spec.name);
    }
    assert_eq!(fingerprint().len(), 64);
}

#[test]
fn the_tables_of_older_sets_are_as_they_were() {
    for older in OLDER_SETS {
        let specs: Vec<&TableSpec> =
            SPECS.iter().copied().filter(|spec| older.tables.contains(&spec.name)).collect();
        assert_eq!(
            fingerprint_of(&specs),
            older.fingerprint,
            "columns of {:?} changed: lakes made by that set cannot be upgraded by adding tables",
            older.tables
        );
    }
}

#[test]
fn every_state_can_be_told_by_its_columns() {
    let states: Vec<_> = SPECS.iter().filter_map(|spec| Some((spec, spec.state?))).collect();
    let mut names: Vec<_> = states.iter().map(|(_, state)| state.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), states.len(), "{names:?}");
    assert!(SPECS.iter().any(|spec| spec.name == LEDGERS_TABLE));
    for (spec, state) in states {
        let has = |name: &str| spec.columns.iter().any(|column| column.name == name);
        assert!(has("deleted") && spec.entry_key().count() > 0, "{}", spec.name);
        if let Some(key_hash) = state.ttl {
            assert!(has(key_hash), "{}", spec.name);
            let ttl = SPECS.iter().find(|spec| spec.name == TTL_TABLE).unwrap();
            assert_eq!(ttl.entry_key().collect::<Vec<_>>(), ["key_hash"]);
        }
    }
}

/// The system before this one had 46 known mistakes, numbered D1 to D46. Each has a test that names it.
#[test]
fn every_known_mistake_is_named_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut named = std::collections::BTreeSet::new();
    for folder in ["daemon", "tests", "ctl"] {
        name_mistakes(&root.join(folder), &mut named);
    }
    let missing: Vec<u32> = (1..=46).filter(|number| !named.contains(number)).collect();
    assert!(missing.is_empty(), "no test names the mistakes {missing:?}");
}

/// Collects the numbers that stand in comments, as `D` and a number, or begin the name of a test.
fn name_mistakes(folder: &Path, named: &mut std::collections::BTreeSet<u32>) {
    for entry in fs::read_dir(folder).expect("the sources can be listed") {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() && !path.ends_with("target") {
            name_mistakes(&path, named);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source can be read");
            let lines = || text.lines().map(str::trim_start);
            let comments = lines().filter_map(|line| line.strip_prefix("//"));
            let words = comments.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()));
            named.extend(words.filter_map(|word| word.strip_prefix('D')?.parse::<u32>().ok()));
            let names = lines().filter_map(|line| line.strip_prefix("fn d")?.split('_').next());
            named.extend(names.filter_map(|number| number.parse::<u32>().ok()));
        }
    }
}
