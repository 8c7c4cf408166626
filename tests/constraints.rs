//! Every row that a rule of the target refuses is reported at once, by its place in the source.

use crate::support::{Project, Role};

/// The step is refused with all of `lines`, and nothing stays; with indexes in place, and with indexes set aside.
#[track_caller]
fn refused(project: &Project, lines: &[&str]) {
    refused_as_it_is(project, lines);
    project.enlarge("app.db");
    refused_as_it_is(project, lines);
}

#[track_caller]
fn refused_as_it_is(project: &Project, lines: &[&str]) {
    let outcome = project.outgrow(["migrate"]).exits(6).says(lines).never_says(&["SQLSTATE", "shadow"]);
    let reported: Vec<&str> = outcome.stderr.lines().filter(|line| line.contains("rowid ")).collect();
    assert_eq!(reported.len(), lines.len(), "{outcome:#?}");
    assert_eq!(project.query("SELECT max(version)::text FROM refinery_schema_history"), ["1"]);
}

#[test]
fn every_orphan_of_every_key_is_reported() {
    let project = Project::step(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE q (x int, y text, UNIQUE (x, y));
         CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, x int, y text, up int,
           CONSTRAINT simple FOREIGN KEY (x, y) REFERENCES q (x, y), CONSTRAINT up FOREIGN KEY (up) REFERENCES c NOT VALID);
         CREATE TABLE f (x int, y text, FOREIGN KEY (x, y) REFERENCES q (x, y) MATCH FULL);",
        "\"p\", \"q\", \"c\", \"f\"",
        "CREATE TABLE p (id); INSERT INTO p VALUES (1); CREATE TABLE q (x, y); INSERT INTO q VALUES (1, 'a');
         CREATE TABLE c (id INTEGER PRIMARY KEY, P, x, y, up);
         INSERT INTO c VALUES (10, 1, 1, 'a', 10), (20, 2, 1, 'b', NULL), (30, NULL, 1, NULL, 31), (40, 9, 2, 'a', 20),
           (50, 9, NULL, NULL, NULL), (51, 9, NULL, NULL, NULL), (52, 9, NULL, NULL, NULL), (53, 9, NULL, NULL, NULL);
         CREATE TABLE f (x, y); INSERT INTO f VALUES (NULL, NULL), (1, NULL), (1, 'z'), (1, 'a');
         DELETE FROM f WHERE x IS NULL",
    );
    refused(
        &project,
        &[
            "c.P: no row of p(id) for the value in 6 rows, rowid 20, 40, 50, 51, 52, …; foreign key c_p_fkey",
            "c.(x, y): no row of q(x, y) for the values in 2 rows, rowid 20, 40; foreign key simple",
            "c.up: no row of c(id) for the value in 1 row, rowid 30; foreign key up",
            "f.(x, y): no row of q(x, y) for the values in 2 rows, rowid 2, 3; foreign key f_x_y_fkey",
        ],
    );
}

#[test]
fn every_duplicate_is_reported_as_the_server_compares() {
    let project = Project::step(
        "CREATE TABLE t (id int PRIMARY KEY, email text, a int, b int, live boolean, n numeric UNIQUE);
         CREATE UNIQUE INDEX lower_email ON t (lower(email));
         CREATE UNIQUE INDEX one_live ON t (a) WHERE live;
         CREATE UNIQUE INDEX pair ON t (a, b);
         ALTER TABLE t ADD CONSTRAINT later UNIQUE (b) DEFERRABLE INITIALLY DEFERRED;",
        "\"t\"",
        "CREATE TABLE t (id, email, a, b, live, n); INSERT INTO t VALUES
         (1, 'Ana', 1, 1, 1, 1), (2, 'ana', 1, 2, 1, '1.0'), (3, 'ANA', 1, 3, 0, NULL), (4, 'bo', 2, 4, 0, NULL),
         (4, 'Bo', 2, 4, 0, 5), ('5', 'x', 3, NULL, 0, 6), (5, 'y', 3, NULL, 0, 7)",
    );
    refused(
        &project,
        &[
            "t.id: the same value in 4 rows, rowid 4 = 5, 6 = 7; primary key t_pkey",
            "t.n: the same value in 2 rows, rowid 1 = 2; unique index t_n_key",
            "t: the same value in 5 rows, rowid 1 = 2 = 3, 4 = 5; unique index lower_email",
            "t.a: the same value in 2 rows, rowid 1 = 2; unique index one_live",
            "t.(a, b): the same value in 2 rows, rowid 4 = 5; unique index pair",
            "t.b: the same value in 2 rows, rowid 4 = 5; unique index later",
        ],
    );
}

#[test]
fn a_deferred_key_is_checked_within_the_step() {
    let project = Project::step(
        "CREATE TABLE t (v int UNIQUE DEFERRABLE INITIALLY DEFERRED);",
        "\"t\"",
        "CREATE TABLE t (v); INSERT INTO t VALUES (1), (2), (1)",
    );
    refused(&project, &["t.v: the same value in 2 rows, rowid 1 = 3; unique index t_v_key"]);
    project.sqlite("app.db", "DELETE FROM t WHERE rowid = 3");
    project.outgrow(["migrate"]).succeeds().prints(&["2 rows"]);
}

#[test]
fn conditions_domains_and_exclusions() {
    let project = Project::step(
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN small AS positive CONSTRAINT at_most CHECK (VALUE < 10);
         CREATE TABLE t (id int, v small, w int CHECK (w <> 3), g int GENERATED ALWAYS AS (nullif(w, 5)) STORED NOT NULL,
           b box, CONSTRAINT sum CHECK (v + w < 12), EXCLUDE USING btree (id WITH =));",
        "\"t\"",
        "CREATE TABLE t (id, v, w); INSERT INTO t VALUES (1, 0, 1), (2, 10, 2), (3, 3, 3), (4, 9, 4), (5, 1, 5), (1, NULL, NULL)",
    );
    refused(
        &project,
        &[
            "t.v: a value that the condition excludes in 1 row, rowid 1; check constraint positive_check of domain positive",
            "t.v: a value that the condition excludes in 1 row, rowid 2; check constraint at_most of domain small",
            "t.w: a value that the condition excludes in 1 row, rowid 3; check constraint t_w_check",
            "t.(v, w): a value that the condition excludes in 2 rows, rowid 2, 4; check constraint sum",
            "t.g: NULL in 2 rows, rowid 5, 6; NOT NULL of t",
            "t.id: values that exclude each other in 2 rows, rowid 1, 6; exclusion constraint t_id_excl",
        ],
    );
}

#[test]
fn misfits_and_broken_rules_are_one_report() {
    let project = Project::step(
        "CREATE TABLE p (id int PRIMARY KEY, n int); CREATE TABLE c (id int UNIQUE, p int REFERENCES p);",
        "\"c\", \"p\"",
        "CREATE TABLE p (id, n); INSERT INTO p VALUES (1, 'x'), (2, 2);
         CREATE TABLE c (id, p); INSERT INTO c VALUES (1, 1), (1, 3), (2, 2)",
    );
    refused(
        &project,
        &[
            "p.n: text that is not a whole number in 1 row, rowid 1;",
            "c.id: the same value in 2 rows, rowid 1 = 2; unique index c_id_key",
            "c.p: no row of p(id) for the value in 1 row, rowid 2; foreign key c_p_fkey",
        ],
    );
}

#[test]
fn rows_are_named_by_the_order_in_which_they_were_read() {
    // an index that covers the columns is what SQLite scans, and t has no INTEGER PRIMARY KEY
    let project = Project::step(
        "CREATE TABLE t (v int PRIMARY KEY); CREATE TABLE w (k text, v int UNIQUE);",
        "\"t\", \"w\"",
        "CREATE TABLE t (v, other); CREATE INDEX i ON t (v); INSERT INTO t (rowid, v) VALUES (5, 9), (6, 3), (7, 9), (8, 1);
         ALTER TABLE t DROP COLUMN other; UPDATE t SET v = 0 WHERE v = 1;
         CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES ('b', 1), ('a', 1)",
    );
    refused(&project, &["t.v: the same value in 2 rows, rowid 5 = 7; primary key t_pkey"]);
    project
        .outgrow(["migrate"])
        .exits(6)
        .says(&["w.v: the same value in 2 rows, row number 1 = row number 2; "]);
}

#[test]
fn partitioned_targets_refuse_with_every_row() {
    let project = Project::step(
        "CREATE TABLE p (id int, region text NOT NULL, up int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
         CREATE TABLE p_eu PARTITION OF p FOR VALUES IN ('eu');
         CREATE TABLE p_us (up int, region text NOT NULL, id int NOT NULL CHECK (id < 100)) PARTITION BY RANGE (id);
         CREATE TABLE p_us_1 PARTITION OF p_us FOR VALUES FROM (0) TO (500);
         ALTER TABLE p ATTACH PARTITION p_us FOR VALUES IN ('us');
         CREATE UNIQUE INDEX eu_up ON p_eu (up);",
        "\"p\"",
        "CREATE TABLE p (id, region, up); INSERT INTO p VALUES (1, 'eu', 1), (1, 'us', 1), (2, 'eu', 1), (2, 'asia', 1),
          (700, 'us', 1), (1, 'eu', 2), (200, 'us', NULL)",
    );
    refused(
        &project,
        &[
            "p.(id, region): the same value in 2 rows, rowid 1 = 6; primary key p_pkey",
            "p.up: the same value in 2 rows, rowid 1 = 3; unique index eu_up",
            "p.id: a value that the condition excludes in 2 rows, rowid 5, 7; check constraint p_us_id_check",
            "p: no partition for the row in 2 rows, rowid 4, 5; partitioned table p",
        ],
    );
}

#[test]
fn without_temporary_tables_the_first_refusal_is_reported() {
    let project = Project::step(
        "CREATE TABLE t (v int UNIQUE);",
        "\"t\"",
        "CREATE TABLE t (v); INSERT INTO t VALUES (1), (1)",
    );
    project.enlarge("app.db");
    let role = Role::without_temporary_tables(&project);
    project.run(&mut role.migrate()).exits(6).says(&[
        "this may not be all",
        "permission denied to create temporary tables",
        "t: could not create unique index \"t_v_key\" [SQLSTATE 23505]",
        "nothing was kept",
    ]);
}

#[test]
fn collations_and_nulls_as_the_server_compares_them() {
    let project = Project::step(
        "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE p (k text COLLATE nocase PRIMARY KEY);
         CREATE TABLE c (k text COLLATE nocase REFERENCES p, n int UNIQUE);",
        "\"p\", \"c\"",
        "CREATE TABLE p (k); CREATE TABLE c (k, n); INSERT INTO p VALUES ('Ana'), ('bo'), ('ANA');
         INSERT INTO c VALUES ('ana', 1), ('BO', NULL), ('x', NULL), (NULL, 2)",
    );
    refused(
        &project,
        &[
            "p.k: the same value in 2 rows, rowid 1 = 3; primary key p_pkey",
            "c.k: no row of p(k) for the value in 1 row, rowid 3; foreign key c_k_fkey",
        ],
    );
}

#[test]
fn nulls_that_are_the_same_since_15() {
    let project = Project::step(
        "CREATE TABLE t (n int, UNIQUE NULLS NOT DISTINCT (n));",
        "\"t\"",
        "CREATE TABLE t (n); INSERT INTO t VALUES (1), (NULL), (NULL), (2), ('x'), ('y')",
    );
    refused(
        &project,
        &[
            "t.n: text that is not a whole number in 2 rows, rowid 5, 6;",
            "t.n: the same value in 2 rows, rowid 2 = 3; unique index t_n_key",
        ],
    );
}

#[test]
fn an_index_that_an_interrupted_command_left_invalid() {
    let project = Project::step(
        "CREATE TABLE t (a int PRIMARY KEY, b int); CREATE TABLE p (a int, b int UNIQUE) PARTITION BY LIST (b);",
        "\"t\", \"p\"",
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2), (2, 2); CREATE TABLE p (a, b); INSERT INTO p VALUES (1, 1), (1, 2), (1, 2)",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    project.execute(
        "CREATE UNIQUE INDEX t_b_ccnew ON t (b); CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1, 2);
         CREATE UNIQUE INDEX one_day ON ONLY p (a, b)",
    );
    let leave = |ready: bool| {
        project.execute(&format!(
            "UPDATE pg_index SET indisvalid = false, indisready = {ready} WHERE indexrelid = 't_b_ccnew'::regclass"
        ));
    };
    leave(true);
    let by = "INVALID unique index, which an interrupted CONCURRENTLY leaves (DROP INDEX in a version before the step): t_b_ccnew";
    let duplicate = "p.b: the same value in 2 rows, rowid 2 = 3; unique index p_b_key";
    refused(&project, &[&format!("t.b: the same value in 2 rows, rowid 1 = 2; {by}"), duplicate]);
    // rows are not held against an index that is not ready
    leave(false);
    refused(&project, &[duplicate]);
    project.sqlite("app.db", "DELETE FROM p WHERE rowid = 3");
    project
        .outgrow(["migrate"])
        .succeeds()
        .says(&["index t_b_ccnew of table t is INVALID", "index one_day of table p is INVALID"]);
    let left =
        "SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY 1) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(project.query(left), ["one_day t_b_ccnew"]);
}

#[test]
fn an_orphan_whose_parent_is_in_the_quarantine_says_so() {
    let project = Project::step(
        "CREATE TABLE p (id int PRIMARY KEY, n int); CREATE TABLE c (p int REFERENCES p);",
        "\"p\", \"c\"",
        "CREATE TABLE p (id, n); CREATE TABLE c (p); INSERT INTO p VALUES (1, 1), (2, 'x'); INSERT INTO c VALUES (1), (2)",
    );
    let step = "source = \"sqlite\"\ntables = [\"p\", \"c\"]\n[table.p]\nmisfit = \"quarantine\"\n";
    project.write("migrations/V2__import.toml", step);
    refused(
        &project,
        &[
            "c.p: no row of p(id) for the value, of which rules send a row to outgrow_quarantine, in 1 row, rowid 2; foreign key c_p_fkey",
        ],
    );
}
