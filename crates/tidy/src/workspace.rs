//! The workspace as `cargo metadata` and the file system show it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<RawPackage>,
    workspace_root: PathBuf,
}

#[derive(Debug, Deserialize)]
struct RawPackage {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<RawDependency>,
}

#[derive(Debug, Deserialize)]
struct RawDependency {
    name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) folder: PathBuf,
    /// Packages of this workspace that its code knows.
    pub(crate) knows: BTreeSet<String>,
    /// Those that only its tests know.
    pub(crate) tests_know: BTreeSet<String>,
    /// Everything else that its code is built on.
    pub(crate) foreign: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) packages: BTreeMap<String, Package>,
}

impl Workspace {
    pub(crate) fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
        let packages = metadata.packages.into_iter().map(|raw| (raw.name.clone(), Package::from(raw))).collect();
        Self { root: metadata.workspace_root, packages }
    }

    /// Our source files, by their path from the root.
    pub(crate) fn sources(&self) -> Vec<PathBuf> {
        let mut sources = Vec::new();
        for package in self.packages.values() {
            for part in ["src", "tests", "benches", "examples"] {
                collect_sources(&package.folder.join(part), &mut sources);
            }
        }
        sources.sort();
        sources
    }

    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

impl From<RawPackage> for Package {
    fn from(raw: RawPackage) -> Self {
        let folder = raw.manifest_path.parent().expect("a manifest is in a folder").to_owned();
        let mut package = Self { folder, knows: BTreeSet::new(), tests_know: BTreeSet::new(), foreign: BTreeSet::new() };
        for dependency in raw.dependencies {
            let ours = dependency.path.is_some();
            match dependency.kind.as_deref() {
                Some("dev") if ours => package.tests_know.insert(dependency.name),
                Some("dev") => continue,
                _ if ours => package.knows.insert(dependency.name),
                _ => package.foreign.insert(dependency.name),
            };
        }
        package
    }
}

fn collect_sources(folder: &Path, sources: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a folder lists").path();
        if path.is_dir() {
            collect_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
}
