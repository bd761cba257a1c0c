//! How a disk's files are written: with the ballast to fall back on when there is no space, and with a place where tests make
//! it fail.

use std::io;

use rustix::io::Errno;

use super::ballast::Ballast;

/// What a write is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Bytes of blocks: refused when there is no space for them.
    Data,
    /// What keeps the disk of use: rows, commits, deletes, marks. It may use the ballast's space.
    Upkeep,
}

/// What is done to a disk, as far as it may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Open,
    Create,
    Write,
    Sync,
    Punch,
    Directory,
    IndexWrite,
    IndexSync,
}

impl Step {
    fn is_sync(self) -> bool {
        matches!(self, Self::Sync | Self::Directory | Self::IndexSync)
    }
}

/// One for each disk, known to all that write there.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) ballast: Ballast,
    pub(crate) faults: Faults,
}

impl Room {
    pub(crate) fn new(ballast: Ballast) -> Self {
        Self { ballast, faults: Faults::default() }
    }

    /// Does a step, and does it again with the ballast's space if it may have that. A sync is never done again: the kernel may
    /// have dropped the pages that it could not write, so that the second one would succeed and mean nothing.
    pub(crate) fn attempt<T>(&self, step: Step, need: Need, mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let mut once = || {
            self.faults.check(step)?;
            work()
        };
        match once() {
            Err(error) if need == Need::Upkeep && !step.is_sync() && is_full(&error) && self.ballast.release() => once(),
            outcome => outcome,
        }
    }
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The process, or the machine, has as many files open as it may: no fault of the disk.
pub(crate) fn is_too_many_files(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Where tests let a step fail. Nothing at all outside of them.
#[derive(Default)]
pub(crate) struct Faults {
    #[cfg(test)]
    hook: parking_lot::Mutex<Option<Hook>>,
}

#[cfg(test)]
type Hook = Box<dyn FnMut(Step) -> io::Result<()> + Send>;

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as in tests")]
    fn check(&self, _: Step) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn check(&self, step: Step) -> io::Result<()> {
        self.hook.lock().as_mut().map_or(Ok(()), |hook| hook(step))
    }
}

#[cfg(test)]
pub(crate) use of_tests::{EIO, EMFILE, ENOSPC};

#[cfg(test)]
mod of_tests {
    use super::*;

    pub(crate) const ENOSPC: i32 = Errno::NOSPC.raw_os_error();
    pub(crate) const EIO: i32 = Errno::IO.raw_os_error();
    pub(crate) const EMFILE: i32 = Errno::MFILE.raw_os_error();

    impl Faults {
        /// Asks `hook` about every step from now on.
        pub(crate) fn set(&self, hook: impl FnMut(Step) -> io::Result<()> + Send + 'static) {
            *self.hook.lock() = Some(Box::new(hook));
        }

        pub(crate) fn clear(&self) {
            *self.hook.lock() = None;
        }

        /// Every step of this kind fails from now on.
        pub(crate) fn every(&self, kind: Step, errno: i32) {
            self.set(move |step| if step == kind { Err(io::Error::from_raw_os_error(errno)) } else { Ok(()) });
        }

        /// The step that has `before` of its kind before it fails, and no other.
        pub(crate) fn one(&self, kind: Step, before: usize, errno: i32) {
            let mut seen = 0;
            self.set(move |step| {
                seen += usize::from(step == kind);
                match step == kind && seen == before + 1 {
                    true => Err(io::Error::from_raw_os_error(errno)),
                    false => Ok(()),
                }
            });
        }
    }
}
