//! What every source file owes its reader.

use std::path::Path;

use crate::workspace::Workspace;

/// A file of more lines has chapters, and chapters are modules.
const MAX_LINES: usize = 700;

/// The tests of a module in a file beside it: their head is the module's.
fn is_sibling_tests(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs")
}

#[test]
fn every_file_begins_with_what_it_is_about() {
    let workspace = Workspace::read();
    let headless: Vec<_> = workspace
        .sources()
        .into_iter()
        .filter(|path| !is_sibling_tests(path))
        .filter(|path| !std::fs::read_to_string(path).expect("reads").starts_with("//! "))
        .map(|path| workspace.relative(&path).to_owned())
        .collect();
    assert!(headless.is_empty(), "without a `//!` head: {headless:#?}");
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let workspace = Workspace::read();
    let long: Vec<_> = workspace
        .sources()
        .into_iter()
        .map(|path| (std::fs::read_to_string(&path).expect("reads").lines().count(), path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, path)| format!("{}: {lines}", workspace.relative(&path).display()))
        .collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:#?}");
}

#[test]
fn the_workspace_is_really_looked_at() {
    let workspace = Workspace::read();
    let sources = workspace.sources();
    assert!(sources.len() > 50, "{}", sources.len());
    let this = Path::new("crates/tidy/src/files.rs");
    assert!(sources.iter().any(|path| workspace.relative(path) == this));
}
