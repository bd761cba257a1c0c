//! A core is a function of its arguments: no clock, dice, files, tasks or orders that differ between processes.
//!
//! Crates that could give it such things are kept out of its manifest; what the standard library offers is banned by the
//! core's own `clippy.toml`, each ban with a reason that names the substitute.

use std::collections::BTreeSet;

use toml::Value;

use crate::workspace::Workspace;

const BANNED_METHODS: &[&str] =
    &["std::time::SystemTime::now", "std::time::Instant::now", "std::fs::read", "std::fs::write", "std::fs::File::open"];
const BANNED_TYPES: &[&str] = &["std::collections::HashMap", "std::collections::HashSet"];

const BANNED_CRATES: &[&str] = &[
    "tokio",
    "tokio-util",
    "futures-util",
    "rand",
    "redb",
    "openraft",
    "hyper",
    "hyper-util",
    "axum",
    "rustix",
    "rustls",
    "parking_lot",
    "tracing",
    "metrics",
];

fn cores(workspace: &Workspace) -> impl Iterator<Item = (&String, &crate::workspace::Package)> {
    workspace.packages.iter().filter(|(name, _)| name.ends_with("-core"))
}

#[test]
fn there_is_a_core_for_each_role() {
    let workspace = Workspace::read();
    let names: Vec<_> = cores(&workspace).map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["datanode-core", "gateway-core", "om-core", "scm-core"]);
}

#[test]
fn no_core_is_built_on_a_crate_with_effects() {
    let workspace = Workspace::read();
    let mut wrong = Vec::new();
    for (name, package) in cores(&workspace) {
        let effects = BANNED_CRATES.iter().filter(|banned| package.foreign.contains(**banned));
        wrong.extend(effects.map(|banned| format!("{name} → {banned}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_core_bans_clocks_files_and_hash_order_and_says_what_to_use() {
    let workspace = Workspace::read();
    for (name, package) in cores(&workspace) {
        let file = package.folder.join("clippy.toml");
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let bans: Value = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for (list, wanted) in [("disallowed-methods", BANNED_METHODS), ("disallowed-types", BANNED_TYPES)] {
            let banned = banned_with_reason(&bans, list);
            for path in wanted {
                assert!(banned.contains(*path), "{name} does not ban {path} with a reason");
            }
        }
    }
}

fn banned_with_reason(bans: &Value, list: &str) -> BTreeSet<String> {
    let entries = bans.get(list).and_then(Value::as_array).into_iter().flatten();
    let text = |entry: &Value, field: &str| entry.get(field).and_then(Value::as_str).map(str::to_owned);
    entries
        .filter(|entry| text(entry, "reason").is_some_and(|why| !why.is_empty()))
        .filter_map(|entry| text(entry, "path"))
        .collect()
}
