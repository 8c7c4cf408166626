//! What the process tells its caller: the exit code, and the signals that have one of their own.

use std::fmt;

/// What the process tells its caller; the table stands in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Done, at head, equal, clean.
    Done,
    /// The answer is no: pending versions (`status --check`), differences (`verify`), failures (`check`).
    No,
    /// Wrong usage or configuration.
    Usage,
    /// No connection: network, TLS, authentication.
    Connection,
    /// Somebody else holds the lock, and the wait is over.
    Locked,
    /// A file was edited, is missing, or is below head and not applied.
    Diverged,
    /// The source is missing, unreadable, or holds misfits.
    Source,
    /// A migration failed; nothing of that version was kept.
    Migration,
    /// What was stored is not what was read; rolled back.
    Proof,
    /// A signal ended the run: 128 plus its number, as shells report it.
    Signal(Signal),
}

impl ExitCode {
    /// The number the operating system is given.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            ExitCode::Done => 0,
            ExitCode::No => 1,
            ExitCode::Usage => 2,
            ExitCode::Connection => 3,
            ExitCode::Locked => 4,
            ExitCode::Diverged => 5,
            ExitCode::Source => 6,
            ExitCode::Migration => 7,
            ExitCode::Proof => 8,
            ExitCode::Signal(Signal::Interrupt) => 130,
            ExitCode::Signal(Signal::Terminate) => 143,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.number().into()
    }
}

/// The signals that a run answers by rolling back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// SIGTERM, as platforms send it before they kill.
    Terminate,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        })
    }
}
