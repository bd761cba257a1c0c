//! Which package may know which.
//!
//! `types` knows nobody. A core knows `types` and `tables`; an api knows `types` and `rpc`. A role knows its own core and
//! api, and other roles only through their api, along gateway → om → scm ← datanode ← gateway, so that starts and upgrades
//! have an order. `server` alone sees all roles.

use std::collections::{BTreeMap, BTreeSet};

use crate::workspace::Workspace;

/// A package and those of ours that its code may know.
const EDGES: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("tables", &["types"]),
    // Documents whose shape is S3's: one type for whoever stores, carries or reads them.
    ("bucket-config", &["types"]),
    ("runtime", &["types"]),
    ("pki", &["types", "runtime"]),
    ("web-client", &[]),
    ("rpc", &["types", "runtime", "pki"]),
    ("raft-node", &["types", "tables", "runtime", "rpc"]),
    ("om-api", &["types", "rpc", "bucket-config"]),
    ("om-core", &["types", "tables", "bucket-config"]),
    (
        "om",
        &["types", "tables", "runtime", "pki", "rpc", "raft-node", "bucket-config", "web-client", "om-api", "om-core", "scm-api"],
    ),
    ("scm-api", &["types", "rpc"]),
    ("scm-core", &["types", "tables"]),
    ("scm", &["types", "tables", "runtime", "pki", "rpc", "raft-node", "scm-api", "scm-core"]),
    // A block call carries the SCM's token; the token's form is in scm-api.
    ("datanode-api", &["types", "runtime", "pki", "rpc", "scm-api"]),
    ("datanode-core", &["types", "tables"]),
    ("datanode", &["types", "tables", "runtime", "pki", "rpc", "raft-node", "datanode-api", "datanode-core", "scm-api"]),
    ("gateway-core", &["types", "bucket-config"]),
    ("gateway", &["types", "runtime", "pki", "rpc", "bucket-config", "gateway-core", "om-api", "datanode-api"]),
    (
        "server",
        &[
            "types",
            "tables",
            "runtime",
            "pki",
            "rpc",
            "raft-node",
            "om",
            "om-api",
            "scm",
            "scm-api",
            "datanode",
            "datanode-api",
            "gateway",
            // The admin listener checks the same signatures.
            "gateway-core",
            // `trioxide admin` asks one.
            "web-client",
        ],
    ),
    ("bench", &[]),
    ("tidy", &[]),
];

/// What tests may use on top of that: the shared packages, to build what they test with. `server` may also look into the
/// cores, to check their invariants over a whole cluster.
const TESTS_MAY_KNOW: &[&str] = &["types", "tables", "runtime", "pki", "rpc", "raft-node"];
const TESTS_OF_SERVER_MAY_KNOW: &[&str] = &["om-core", "scm-core", "datanode-core", "gateway-core"];

fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    EDGES.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect()
}

#[test]
fn every_package_knows_only_whom_it_may() {
    let workspace = Workspace::read();
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (name, package) in &workspace.packages {
        let Some(may_know) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        for known in &package.knows {
            if !may_know.contains(known.as_str()) {
                wrong.push(format!("{name} → {known}"));
            }
        }
        for known in &package.tests_know {
            let for_server = name == "server" && TESTS_OF_SERVER_MAY_KNOW.contains(&known.as_str());
            if !may_know.contains(known.as_str()) && !TESTS_MAY_KNOW.contains(&known.as_str()) && !for_server {
                wrong.push(format!("tests of {name} → {known}"));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that nobody decided on: {wrong:#?}");
}

#[test]
fn the_table_names_no_package_that_is_gone() {
    let workspace = Workspace::read();
    for (name, may_know) in allowed() {
        assert!(workspace.packages.contains_key(name), "{name}");
        for known in may_know {
            assert!(workspace.packages.contains_key(known), "{name} → {known}");
        }
    }
}

#[test]
fn the_table_has_no_circle() {
    let allowed = allowed();
    let knows = |name: &str| allowed.get(name).into_iter().flatten().copied().collect();
    assert_eq!(circle(allowed.keys().copied(), knows), None);
}

/// Cargo refuses circles of code; circles through tests it builds, and nobody can tell what such a test tests.
#[test]
fn no_package_is_in_a_circle_not_even_through_tests() {
    let workspace = Workspace::read();
    let knows = |name: &str| {
        let package = workspace.packages.get(name);
        package.into_iter().flat_map(|package| package.knows.iter().chain(&package.tests_know)).map(String::as_str).collect()
    };
    assert_eq!(circle(workspace.packages.keys().map(String::as_str), knows), None);
}

/// The packages along one circle, if there is any.
fn circle<'a>(names: impl Iterator<Item = &'a str>, knows: impl Fn(&str) -> Vec<&'a str>) -> Option<Vec<&'a str>> {
    fn visit<'a>(
        name: &'a str,
        path: &mut Vec<&'a str>,
        free: &mut BTreeSet<&'a str>,
        knows: &impl Fn(&str) -> Vec<&'a str>,
    ) -> Option<Vec<&'a str>> {
        if let Some(start) = path.iter().position(|on_path| *on_path == name) {
            return path.get(start..).map(<[_]>::to_vec);
        }
        if free.contains(name) {
            return None;
        }
        path.push(name);
        let found = knows(name).into_iter().find_map(|known| visit(known, path, free, knows));
        path.pop();
        free.insert(name);
        found
    }
    let mut free = BTreeSet::new();
    names.into_iter().find_map(|name| visit(name, &mut Vec::new(), &mut free, &knows))
}

#[test]
fn a_circle_is_found_and_a_diamond_is_none() {
    let knows = |edges: &'static [(&str, &[&'static str])]| {
        move |name: &str| edges.iter().find(|(from, _)| *from == name).map(|(_, to)| to.to_vec()).unwrap_or_default()
    };
    let diamond = knows(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"])]);
    assert_eq!(circle(["a", "b", "c", "d"].into_iter(), diamond), None);
    let ring = knows(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]);
    assert_eq!(circle(["a", "b", "c"].into_iter(), ring), Some(vec!["b", "c"]));
}
