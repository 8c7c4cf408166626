//! What stands in the way of a load is set aside and comes back as it was: triggers, indexes, foreign keys, whatever
//! the kind of table.

use crate::support::Project;

/// Everything a step sets aside, as the catalog has it.
pub const CATALOG: &str = "\
    SELECT concat_ws(' ', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), (to_jsonb(k) - 'oid' - 'conindid')::text, \
                     k.conindid::regclass, obj_description(k.oid, 'pg_constraint'))
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.relnamespace = 'public'::regnamespace \
      AND c.relname NOT LIKE '%outgrow%'
    UNION ALL
    SELECT concat_ws(' ', t.tgrelid::regclass, CASE WHEN t.tgisinternal THEN k.conname ELSE t.tgname END, t.tgenabled, \
                     t.tgtype, t.tgfoid::regproc, t.tgdeferrable, obj_description(t.oid, 'pg_trigger'))
    FROM pg_trigger t LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint
    UNION ALL
    SELECT concat_ws(' ', tablename, indexdef, tablespace, c.reloptions, x.indisprimary, x.indisunique, x.indisvalid, x.indisclustered, \
                     x.indisreplident, obj_description(c.oid, 'pg_class'), \
                     (SELECT string_agg(concat_ws(' ', attnum, attstattarget), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid))
    FROM pg_indexes JOIN pg_class c ON c.oid = format('%I.%I', schemaname, indexname)::regclass JOIN pg_index x ON x.indexrelid = c.oid
    WHERE schemaname = 'public' AND tablename NOT LIKE '%outgrow%'
    ORDER BY 1";

/// The indexes of the tables of `public` as files on the server's disk: another number is another file.
const INDEX_FILES: &str = "SELECT c.relname || ' ' || c.oid FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid \
    WHERE c.relnamespace = 'public'::regnamespace AND x.indrelid::regclass::text NOT LIKE '%outgrow%' \
      AND x.indrelid::regclass::text NOT LIKE 'refinery%' ORDER BY 1";

/// The step succeeds, with a source that is not small, and leaves the catalog as it was.
#[track_caller]
pub fn loads_and_restores(project: &Project) {
    project.enlarge("app.db");
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let before = project.query(CATALOG);
    project.outgrow(["migrate"]).succeeds();
    assert_eq!(project.query(CATALOG), before);
}

#[test]
fn foreign_keys_in_a_circle_and_to_the_table_itself() {
    let project = Project::step(
        "CREATE TABLE a (id int PRIMARY KEY, b int, up int);
         CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
         CREATE TABLE elsewhere (id int PRIMARY KEY);
         INSERT INTO elsewhere VALUES (7);
         CREATE TABLE c (x int, y int, e int REFERENCES elsewhere, CONSTRAINT \"odd \"\" name\" UNIQUE (x, y));
         CREATE TABLE d (x int, y int, CONSTRAINT full_key FOREIGN KEY (x, y) REFERENCES c (x, y) MATCH FULL ON UPDATE SET NULL);
         ALTER TABLE a ADD CONSTRAINT \"to \"\"b\"\"\" FOREIGN KEY (b) REFERENCES b;
         ALTER TABLE a ADD CONSTRAINT up FOREIGN KEY (up) REFERENCES a NOT VALID;
         COMMENT ON CONSTRAINT up ON a IS 'it''s said';",
        "\"a\", \"d\", \"b\", \"c\"",
        "CREATE TABLE a (id, b, up); CREATE TABLE b (id, a); CREATE TABLE c (x, y, e); CREATE TABLE d (x, y);
         INSERT INTO a VALUES (1, 2, 3), (3, NULL, 1); INSERT INTO b VALUES (2, 1); INSERT INTO c VALUES (1, 2, 7);
         INSERT INTO d VALUES (1, 2), (NULL, NULL)",
    );
    loads_and_restores(&project);
    assert_eq!(project.query("SELECT count(*)::text FROM a JOIN b ON a.b = b.id"), ["1"]);
}

#[test]
fn indexes_come_back_as_they_were() {
    let project = Project::step(
        "CREATE SCHEMA other;
         CREATE TABLE p (id int, code text, a int, b int, at tsrange, up int,
           CONSTRAINT \"the \"\"key\"\"\" PRIMARY KEY (id) INCLUDE (a), CONSTRAINT late UNIQUE (code) DEFERRABLE INITIALLY DEFERRED,
           EXCLUDE USING gist (at WITH &&));
         CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p);
         ALTER TABLE p ADD FOREIGN KEY (up) REFERENCES p;
         CREATE UNIQUE INDEX \"odd \"\" name\" ON p (lower(code) COLLATE \"C\" DESC NULLS LAST, (a + 1)) INCLUDE (b) WHERE b > 0;
         CREATE INDEX hashed ON p USING hash (code); CREATE INDEX patterns ON p (code text_pattern_ops) WITH (fillfactor = 50);
         COMMENT ON INDEX patterns IS 'it''s said'; COMMENT ON CONSTRAINT \"the \"\"key\"\"\" ON p IS 'first'; COMMENT ON INDEX \"the \"\"key\"\"\" IS 'too'",
        "\"c\", \"p\"",
        "CREATE TABLE p (id, code, a, b, at, up); CREATE TABLE c (id, p);
         INSERT INTO p VALUES (1, 'x', 1, 1, '[2020-01-01,2020-01-02)', 1), (2, 'y', 1, NULL, NULL, 1); INSERT INTO c VALUES (1, 2)",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let files = project.query(INDEX_FILES);
    assert_eq!(files.len(), 7);
    loads_and_restores(&project);
    for (before, after) in files.iter().zip(project.query(INDEX_FILES)) {
        assert_ne!(*before, after, "made after the rows");
    }
}

#[test]
fn a_small_source_is_loaded_with_the_indexes_in_place() {
    let project = Project::step(
        "CREATE TABLE p (id int PRIMARY KEY, code text UNIQUE); CREATE TABLE c (p int REFERENCES p); CREATE INDEX ON c (p)",
        "\"c\", \"p\"",
        "CREATE TABLE p (id, code); CREATE TABLE c (p); INSERT INTO p VALUES (1, 'x'), (2, 'y'); INSERT INTO c VALUES (2)",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let before = (project.query(INDEX_FILES), project.query(CATALOG));
    project.outgrow(["migrate"]).succeeds().prints(&["3 rows"]);
    assert_eq!((project.query(INDEX_FILES), project.query(CATALOG)), before);
}

#[test]
fn of_many_tables_those_of_few_rows_are_loaded_with_the_indexes_in_place() {
    let (mut target, mut source) = (String::new(), String::new());
    for number in 0..25 {
        let rows = if number == 7 { 1001 } else { 2 };
        target += &format!("CREATE TABLE t{number} (id int PRIMARY KEY, up int);");
        source += &format!(
            "CREATE TABLE t{number} (id INTEGER PRIMARY KEY, up); INSERT INTO t{number}
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i, 1 FROM n;"
        );
    }
    for (from, to) in [(1, 2), (7, 3), (4, 7)] {
        target += &format!("ALTER TABLE t{from} ADD CONSTRAINT k{from} FOREIGN KEY (up) REFERENCES t{to};");
    }
    let tables: Vec<String> = (0..25).map(|number| format!("\"t{number}\"")).collect();
    let project = Project::step(&target, &tables.join(", "), &source);
    let files = "SELECT c.relname || ' ' || c.oid FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid \
                 WHERE x.indrelid::regclass::text LIKE 't%' \
                 UNION ALL SELECT conname || ' ' || oid FROM pg_constraint WHERE contype = 'f' ORDER BY 1";
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let before = project.query(files);
    loads_and_restores(&project);
    let after = project.query(files);
    let moved: Vec<&str> = before
        .iter()
        .filter(|file| !after.contains(file))
        .filter_map(|file| file.split(' ').next())
        .collect();
    assert_eq!((before.len(), moved), (28, vec!["k4", "k7", "t7_pkey"]));
}

#[test]
fn indexes_that_would_not_come_back_stay_in_place() {
    let project = Project::step(
        "CREATE TABLE p (id int PRIMARY KEY, code text NOT NULL UNIQUE, a int, CONSTRAINT seen UNIQUE (a),
           CONSTRAINT loose UNIQUE (code, a) WITH (fillfactor = 70));
         CREATE INDEX counted ON p ((a + 1)); ALTER INDEX counted ALTER COLUMN 1 SET STATISTICS 500;
         CREATE INDEX sorted ON p (a); ALTER TABLE p CLUSTER ON sorted; ALTER TABLE p REPLICA IDENTITY USING INDEX p_code_key;
         CREATE TABLE outside (p int REFERENCES p); CREATE INDEX moved ON p (a, code);
         CREATE VIEW grouped AS SELECT id, code FROM p GROUP BY id",
        "\"p\"",
        "CREATE TABLE p (id, code, a); INSERT INTO p VALUES (1, 'x', 1), (2, 'y', 2)",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let files = project.query(INDEX_FILES);
    loads_and_restores(&project);
    let after = project.query(INDEX_FILES);
    let moved: Vec<&str> =
        files.iter().filter(|file| !after.contains(file)).filter_map(|file| file.split(' ').next()).collect();
    assert_eq!(moved, ["moved", "seen"]);
}

#[test]
fn rows_are_stored_as_frozen_and_counted() {
    let project = Project::step(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int); CREATE TABLE quiet (id int);
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'emptied'; END $$;
         CREATE TRIGGER t BEFORE TRUNCATE ON quiet EXECUTE FUNCTION f();
         CREATE PUBLICATION told FOR TABLE b",
        "\"a\", \"b\", \"quiet\"",
        "CREATE TABLE a (id); CREATE TABLE b (id); CREATE TABLE quiet (id);
         INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1); INSERT INTO quiet VALUES (1)",
    );
    project.enlarge("app.db");
    project.outgrow(["migrate"]).succeeds();
    // (PostgreSQL: Database Page Layout: both bits that say who inserted it, together, are those of a frozen row)
    project.execute("CREATE EXTENSION pageinspect");
    let frozen = |table: &str| {
        project.query(&format!(
            "SELECT DISTINCT ((t_infomask & 768) = 768)::text FROM heap_page_items(get_raw_page('{table}', 0))"
        ))
    };
    assert_eq!([frozen("a"), frozen("b"), frozen("quiet")], [["true"], ["false"], ["false"]]);
    assert_eq!(
        project
            .query("SELECT reltuples::int::text FROM pg_class WHERE relname IN ('a', 'b') ORDER BY relname"),
        ["2", "1"]
    );
}

#[test]
fn triggers_stand_aside_and_come_back_in_their_own_state() {
    let project = Project::step(
        "CREATE TABLE t (id int, v text);
         CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := TG_NAME; RETURN NEW; END $$;
         CREATE TRIGGER origin BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION bend();
         CREATE TRIGGER \"al\"\"ways\" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION bend();
         CREATE TRIGGER replica BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION bend();
         CREATE TRIGGER off BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION bend();
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION bend();
         CREATE TRIGGER update_only BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION bend();
         COMMENT ON TRIGGER origin ON t IS 'kept';
         ALTER TABLE t ENABLE ALWAYS TRIGGER \"al\"\"ways\"; ALTER TABLE t ENABLE REPLICA TRIGGER replica;
         ALTER TABLE t DISABLE TRIGGER off;",
        "\"t\"",
        "CREATE TABLE t (id, v); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
    );
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    let before = project.query(CATALOG);
    project
        .outgrow(["migrate"])
        .succeeds()
        .prints(&["triggers that did not run: al\"ways, late, origin, replica"]);
    assert_eq!(project.query(CATALOG), before);
    assert_eq!(project.query("SELECT v FROM t ORDER BY id"), ["a", "b"]);
    assert_eq!(
        project.query("SELECT tables->0->>'set_aside' FROM outgrow_receipt"),
        ["[\"al\\\"ways\", \"late\", \"origin\", \"replica\"]"]
    );
    assert_eq!(project.query("INSERT INTO t VALUES (3, 'c') RETURNING v"), ["origin"]);
}

#[test]
fn partitioned_targets() {
    let schema = "CREATE TABLE p (id int, region text NOT NULL, up int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
         CREATE TABLE p_eu PARTITION OF p FOR VALUES IN ('eu');
         CREATE TABLE p_us (up int, region text NOT NULL, id int NOT NULL CHECK (id < 100)) PARTITION BY RANGE (id);
         CREATE TABLE p_us_1 PARTITION OF p_us FOR VALUES FROM (0) TO (50);
         ALTER TABLE p ATTACH PARTITION p_us FOR VALUES IN ('us');
         CREATE UNIQUE INDEX eu_up ON p_eu (up);
         CREATE TABLE parent (id int PRIMARY KEY);
         ALTER TABLE p ADD FOREIGN KEY (up) REFERENCES parent;
         CREATE TABLE child (id int, region text, FOREIGN KEY (id, region) REFERENCES p);
         CREATE FUNCTION bend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.up := NULL; RETURN NEW; END $$;
         CREATE TRIGGER bend BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION bend();
         CREATE TRIGGER bend_us BEFORE INSERT ON p_us_1 FOR EACH ROW EXECUTE FUNCTION bend();
         ALTER TABLE p_eu ENABLE ALWAYS TRIGGER bend;";
    let rows = "CREATE TABLE p (id, region, up); CREATE TABLE parent (id); CREATE TABLE child (id, region);
         INSERT INTO parent VALUES (1), (2); INSERT INTO p VALUES (1, 'eu', 1), (1, 'us', 1), (2, 'us', 2), (3, 'eu', NULL);
         INSERT INTO child VALUES (1, 'us')";
    let project = Project::step(schema, "\"child\", \"p\", \"parent\"", rows);
    loads_and_restores(&project);
    assert_eq!(
        project.query("SELECT tableoid::regclass || ' ' || id || ' ' || coalesce(up, 0) FROM p ORDER BY 1"),
        ["p_eu 1 1", "p_eu 3 0", "p_us_1 1 1", "p_us_1 2 2"]
    );
    assert_eq!(
        project.query("SELECT e->>'set_aside' FROM outgrow_receipt, jsonb_array_elements(tables) e WHERE e->>'table' = 'p'"),
        ["[\"bend\", \"bend_us\"]"]
    );
}

#[test]
fn rows_of_tables_that_inherit_are_rows_of_the_table_to_the_application() {
    let project = Project::step(
        "CREATE TABLE t (v int); CREATE TABLE child () INHERITS (t); INSERT INTO child VALUES (5);",
        "\"t\"",
        "CREATE TABLE t (v); INSERT INTO t VALUES (1)",
    );
    let refused =
        "table t: a table that inherits from it already holds rows, and a step loads into empty tables only";
    project.outgrow(["migrate"]).exits(7).says(&[refused]);
    project.execute("DELETE FROM child");
    project.outgrow(["migrate"]).succeeds().prints(&["1 row"]);
    assert_eq!(project.query("SELECT v::text FROM ONLY t"), ["1"]);
}

#[test]
fn always_generated_identities_keep_the_ids_of_the_source() {
    let project = Project::step(
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);",
        "\"t\"",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (7, 'a'), (90, 'b')",
    );
    loads_and_restores(&project);
    assert_eq!(project.query("SELECT id::text FROM t ORDER BY id"), ["7", "90"]);
    assert_eq!(project.query("INSERT INTO t (v) VALUES ('c') RETURNING id::text"), ["91"]);
}

#[test]
fn rules_do_not_apply_and_unlogged_tables_are_named() {
    let project = Project::step(
        "CREATE UNLOGGED TABLE t (v int); CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING;",
        "\"t\"",
        "CREATE TABLE t (v); INSERT INTO t VALUES (1)",
    );
    project.outgrow(["migrate"]).succeeds().prints(&["1 row"]).says(&["table t is UNLOGGED"]);
    assert_eq!(project.query("SELECT v::text FROM t"), ["1"]);
}

#[test]
fn of_a_small_source_only_keys_that_form_a_circle_are_set_aside() {
    let target = "CREATE TABLE parent (id int PRIMARY KEY, favourite int);
        CREATE TABLE child (id int PRIMARY KEY, parent int CONSTRAINT upwards REFERENCES parent);";
    let source = "CREATE TABLE child (id INTEGER PRIMARY KEY, parent); INSERT INTO child VALUES (1, 7);
        CREATE TABLE parent (id INTEGER PRIMARY KEY, favourite); INSERT INTO parent VALUES (7, 1)";
    let oids =
        "SELECT oid::text FROM pg_constraint WHERE conname IN ('upwards', 'downwards') ORDER BY conname";
    let moved = |project: &Project| {
        project.outgrow(["migrate", "--to", "1"]).succeeds();
        let before = project.query(oids);
        project.outgrow(["migrate"]).succeeds();
        before != project.query(oids)
    };
    assert!(!moved(&Project::step(target, "\"child\", \"parent\"", source)));
    let circle = format!(
        "{target} ALTER TABLE parent ADD CONSTRAINT downwards FOREIGN KEY (favourite) REFERENCES child;"
    );
    assert!(moved(&Project::step(&circle, "\"child\", \"parent\"", source)));
    let orphan = format!("{source}; UPDATE child SET parent = 8");
    let project = Project::step(target, "\"child\", \"parent\"", &orphan);
    project.outgrow(["migrate"]).exits(6).says(&["child.parent", "rowid 1"]);
}

#[test]
fn a_catalog_that_is_not_as_it_was_is_no_success() {
    let project = Project::step(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int, CONSTRAINT key FOREIGN KEY (p) REFERENCES p);",
        "\"p\", \"c\"",
        "CREATE TABLE p (id); CREATE TABLE c (p); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)",
    );
    project.enlarge("app.db");
    project.outgrow(["migrate", "--to", "1"]).succeeds();
    // a key that is made while the table holds rows gets a comment
    project.execute(
        "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           IF EXISTS (SELECT FROM c) AND EXISTS (SELECT FROM pg_constraint WHERE conname = 'key') THEN
             COMMENT ON CONSTRAINT key ON c IS 'other';
           END IF;
         END $$;
         CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION meddle()",
    );
    project
        .outgrow(["migrate"])
        .exits(8)
        .says(&["constraint key of c: it is not what it was before the step"]);
    assert_eq!(project.query("SELECT count(*)::text FROM c"), ["0"]);
}

#[test]
fn keys_of_partitioned_tables_in_a_circle() {
    let schema = |deferrable: &str| {
        format!(
            "CREATE TABLE a (id int PRIMARY KEY, b int) PARTITION BY RANGE (id);
             CREATE TABLE a_1 PARTITION OF a FOR VALUES FROM (0) TO (9);
             CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
             ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b {deferrable};"
        )
    };
    let rows = "CREATE TABLE a (id, b); CREATE TABLE b (id, a); INSERT INTO a VALUES (1, 2); INSERT INTO b VALUES (2, 1)";
    loads_and_restores(&Project::step(&schema("DEFERRABLE"), "\"a\", \"b\"", rows));
    let project = Project::step(&schema(""), "\"a\", \"b\"", rows);
    project
        .outgrow(["migrate"])
        .exits(7)
        .says(&["tables a, b: their foreign keys form a circle", "DEFERRABLE"]);
    assert_eq!(project.query("SELECT count(*)::text FROM a"), ["0"]);
}
