//! The SCM from outside: real services on real logs, datanodes as values.

mod failover;
mod harness;
mod service;
