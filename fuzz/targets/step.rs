//! Any text as a data step: it is a step, or every fault of it has its place in the text, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outgrow::migration::step;
use std::path::Path;

fuzz_target!(|text: &str| {
    if let Err(problems) = step::parse(Path::new("V1__step.toml"), text) {
        assert!(!problems.is_empty());
        for (line, column) in problems.into_iter().filter_map(|problem| problem.at) {
            let there = text.split('\n').nth(line - 1).expect("the line is there");
            assert!((1..=there.chars().count() + 1).contains(&column), "column {column} of {there:?}");
        }
    }
});
