//! Pauses between attempts: each twice as long as the last up to a limit, and never quite the same, so that runs that
//! started together do not knock together.

use std::time::Duration;

/// The pauses of one wait.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// From `first` on; none is longer than `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { next: first, longest }
    }

    /// The next pause, within what is `left` of the whole wait.
    pub fn pause(&mut self, left: Duration) -> Duration {
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0).min(left);
        self.next = (self.next * 2).min(self.longest);
        pause
    }
}
