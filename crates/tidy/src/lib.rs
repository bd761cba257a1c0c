//! Holds the shape of the workspace: who may know whom, what every file owes its reader, and that documents
//! name what is there. All of it is tests.
//!
//! A change that needs another edge edits [`edges`] in the same commit, where a reviewer sees it.

#[cfg(test)]
mod cores;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod files;
#[cfg(test)]
mod workspace;
