//! Processes that this one started; none outlives it.

use std::process::{Child, ChildStderr, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::error::BenchError;

#[derive(Debug)]
pub(crate) struct Started(Child);

impl Started {
    pub(crate) fn start(command: &mut Command) -> Result<Self, BenchError> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.spawn().map(Self).map_err(BenchError::io(format!("starting {name}")))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.0.stderr.take()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, BenchError> {
        self.0.try_wait().map_err(BenchError::io("looking after a child"))
    }

    /// Waits for its end, at most so long.
    pub(crate) async fn end_within(&mut self, at_most: Duration) -> Result<Option<ExitStatus>, BenchError> {
        let give_up_at = Instant::now() + at_most;
        loop {
            match self.ended()? {
                None if Instant::now() < give_up_at => tokio::time::sleep(Duration::from_millis(20)).await,
                ended => return Ok(ended),
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) -> Result<(), BenchError> {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status().map_err(BenchError::io("running kill"))?;
        match status.success() {
            true => Ok(()),
            false => Err(BenchError::Unexpected(format!("kill -{name} {pid} ended with {status}"))),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Both fail only for a child that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
