//! The house rules that a script can check: who may import whom, how long a file may be, which crate is known where.

use crate::support::repository;
use std::path::{Path, PathBuf};

/// Module → the modules it may import. `main → lib → commands → {copy, migration} → {sqlite, postgres} → value →
/// error`.
const MAY_IMPORT: [(&str, &[&str]); 18] = [
    ("error", &[]),
    ("identifier", &[]),
    ("cli", &[]),
    ("config", &["cli", "error"]),
    ("value", &["error"]),
    ("sqlite", &["error", "identifier", "value"]),
    ("postgres", &["config", "error", "identifier", "value"]),
    ("migration", &["error", "value"]),
    ("copy", &["error", "identifier", "migration", "postgres", "sqlite", "value"]),
    ("since", &["copy", "error", "migration", "postgres", "sqlite"]),
    ("plan", &["config", "copy", "error", "migration", "postgres", "since"]),
    (
        "migrate",
        &["cli", "config", "copy", "error", "identifier", "migration", "plan", "postgres", "since", "sqlite"],
    ),
    ("status", &["config", "copy", "error", "migration", "plan", "postgres", "since"]),
    ("verify", &["cli", "config", "copy", "error", "migration", "plan", "postgres", "sqlite"]),
    ("export", &["cli", "config", "copy", "error", "migration", "plan", "postgres", "sqlite"]),
    ("doctor", &["config", "copy", "error", "migration", "plan", "postgres", "since", "sqlite"]),
    ("check", &["cli", "config", "error", "migration", "postgres"]),
    ("output", &["check", "cli", "copy", "doctor", "error", "export", "migrate", "plan", "status", "verify"]),
];

/// External crate → the files that may name it.
const KNOWN_IN: [(&str, &[&str]); 7] = [
    (
        "refinery_core",
        &[
            "src/migration/mod.rs",
            "src/plan.rs",
            "src/status.rs",
            "src/migrate/mod.rs",
            "src/migrate/applier.rs",
        ],
    ),
    ("siphasher", &["src/migration/mod.rs"]),
    ("clap", &["src/cli.rs"]),
    ("squawk_lexer", &["src/migration/sql.rs", "src/migration/objects.rs"]),
    ("quick_xml", &["src/output/junit.rs"]),
    ("rustls", &["src/postgres/tls.rs", "src/postgres/certificate.rs", "src/postgres/session.rs"]),
    ("x509_cert", &["src/postgres/certificate.rs"]),
];

fn sources(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push((relative(&path), std::fs::read_to_string(&path).expect("a source file")));
            }
        }
    }
    assert!(!files.is_empty());
    files
}

fn relative(path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(repository()).expect("inside").into();
    path.to_string_lossy().into_owned()
}

/// `src/copy/bind.rs` and `src/plan.rs` belong to the modules `copy` and `plan`.
fn module(file: &str) -> &str {
    file.trim_start_matches("src/").trim_end_matches(".rs").split('/').next().expect("a name")
}

#[test]
fn imports_go_one_way() {
    for (file, text) in sources("src") {
        let module = module(&file);
        if ["main", "lib"].contains(&module) {
            continue;
        }
        let (_, allowed) =
            MAY_IMPORT.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{file} is new"));
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for path in code.split("crate::").skip(1) {
            let imported: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let own = imported == module || imported.chars().all(|c| c.is_uppercase() || c == '_');
            assert!(own || allowed.contains(&imported.as_str()), "{file} imports {imported}");
        }
    }
}

#[test]
fn each_crate_is_known_where_it_belongs() {
    for (file, text) in sources("src") {
        for (name, files) in KNOWN_IN {
            let named = text.contains(&format!("use {name}")) || text.contains(&format!("{name}::"));
            assert!(!named || files.contains(&file.as_str()), "{file} names {name}");
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    for (file, text) in sources("src").into_iter().chain(sources("tests")) {
        assert!(text.starts_with("//!"), "{file} does not say what it is for");
        assert!(text.lines().count() <= 500, "{file} has {} lines", text.lines().count());
    }
}

#[test]
fn only_output_prints() {
    for (file, text) in sources("src") {
        let prints =
            ["println!", "eprintln!", "io::stdout", "io::stderr"].iter().any(|word| text.contains(word));
        assert!(!prints || file.starts_with("src/output/"), "{file} prints");
    }
}

/// The fuzz targets are a package of their own, which is not built here: a stale lock file would stop `make fuzz`.
#[test]
fn the_lock_file_of_the_fuzz_targets_knows_all_dependencies() {
    let read = |file: &str| -> toml::Table {
        let text = std::fs::read_to_string(repository().join(file)).expect(file);
        text.parse().expect(file)
    };
    let manifest = read("Cargo.toml");
    let wanted: Vec<&String> = manifest["dependencies"].as_table().expect("a table").keys().collect();
    let lock = read("fuzz/Cargo.lock");
    let mut packages = lock["package"].as_array().expect("an array").iter();
    let ours = packages.find(|package| package["name"].as_str() == Some("outgrow")).expect("this package");
    // a name, and a version where there are several
    let known: Vec<&str> = ours["dependencies"]
        .as_array()
        .expect("an array")
        .iter()
        .filter_map(|one| one.as_str()?.split(' ').next())
        .collect();
    let missing: Vec<&&String> = wanted.iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "cargo update --manifest-path fuzz/Cargo.toml outgrow: {missing:?}");
}
