//! The core from outside: commands in any order, and the bytes that they are stored as.

mod random_commands;
mod stored_bytes;
