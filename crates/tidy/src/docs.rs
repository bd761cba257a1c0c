//! What the documents say of the code is there.

use std::path::Path;

use crate::workspace::Workspace;

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_source_file_that_the_architecture_names_exists() {
    let workspace = Workspace::read();
    let sources = workspace.sources();
    let text = std::fs::read_to_string(workspace.root.join("ARCHITECTURE.md")).expect("reads");
    let named: Vec<&str> = quoted(&text).filter(|word| word.ends_with(".rs")).collect();
    assert!(named.len() > 20, "{named:?}");
    // Some are named below a package that the sentence names.
    let exists = |name: &&str| sources.iter().any(|path| path.ends_with(Path::new(name)));
    let gone: Vec<_> = named.into_iter().filter(|name| !exists(name)).collect();
    assert!(gone.is_empty(), "not in the tree: {gone:?}");
}
