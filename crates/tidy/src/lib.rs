//! Holds the shape of the workspace: who may know whom, and what every file owes its reader. All of it is tests.
//!
//! A change that needs another edge edits [`edges`] in the same commit, where a reviewer sees it.

#[cfg(test)]
mod cores;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod files;
#[cfg(test)]
mod workspace;
