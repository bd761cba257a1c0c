//! Groups as a role sees them: of one member on a disk, and of several over a network that can be cut.

mod alone;
mod members;
mod support;
