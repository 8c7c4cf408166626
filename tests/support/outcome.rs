//! What a run of the program left: exit code, stdout, stderr.

use std::process::Output;

/// One run. No output of any run may hold the password, or a backtrace.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(output: Output, password: Option<String>) -> Outcome {
        let outcome = Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        };
        for text in [&outcome.stdout, &outcome.stderr] {
            if let Some(password) = password.as_deref().filter(|password| password.len() > 8) {
                assert!(!text.contains(password), "the password shows: {outcome:#?}");
            }
            assert!(!text.contains("panicked") && !text.contains("stack backtrace"), "{outcome:#?}");
        }
        outcome
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Outcome {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn succeeds(self) -> Outcome {
        self.exits(0)
    }

    /// stderr has each of these.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Outcome {
        for part in parts {
            assert!(self.stderr.contains(part), "stderr lacks {part:?}: {self:#?}");
        }
        self
    }

    /// stderr has none of these.
    #[track_caller]
    pub fn never_says(self, parts: &[&str]) -> Outcome {
        for part in parts {
            assert!(!self.stderr.contains(part) && !self.stdout.contains(part), "{part:?} shows: {self:#?}");
        }
        self
    }

    /// stdout has each of these.
    #[track_caller]
    pub fn prints(self, parts: &[&str]) -> Outcome {
        for part in parts {
            assert!(self.stdout.contains(part), "stdout lacks {part:?}: {self:#?}");
        }
        self
    }

    /// stdout, which must be one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}
