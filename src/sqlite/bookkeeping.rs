//! Tables in which other tools keep their own books inside an application's file. A step does not bring them unless it
//! names them; those with rows are always named in the receipt. A name that an application might give to a table of its
//! own (`migrations`, `version`) is not here: leaving it behind takes a word in the step.

/// In alphabetical order; compared without regard to case, as SQLite compares names.
const NAMES: [&str; 40] = [
    "__diesel_schema_migrations",
    "__drizzle_migrations",
    "__efmigrationshistory",
    "__efmigrationslock",
    "_cf_kv",
    "_litestream_lock",
    "_litestream_seq",
    "_prisma_migrations",
    "_sqlx_migrations",
    "_yoyo_log",
    "_yoyo_migration",
    "_yoyo_version",
    "aerich",
    "alembic_version",
    "android_metadata",
    "ar_internal_metadata",
    "atlas_schema_revisions",
    "d1_migrations",
    "databasechangelog",
    "databasechangeloglock",
    "django_migrations",
    "doctrine_migration_versions",
    "flyway_schema_history",
    "goose_db_version",
    "gorp_migrations",
    "knex_migrations",
    "knex_migrations_lock",
    "kysely_migration",
    "kysely_migration_lock",
    "migratehistory",
    "mikro_orm_migrations",
    "phinxlog",
    "refinery_schema_history",
    "room_master_table",
    "schema_migrations",
    "seaql_migrations",
    "sequelizedata",
    "sequelizemeta",
    "south_migrationhistory",
    "yoyo_lock",
];

/// Names that tools give to such tables, and applications to others. In alphabetical order.
const PERHAPS: [&str; 10] = [
    "db_version",
    "dbversion",
    "migration",
    "migration_versions",
    "migrations",
    "schema_history",
    "schema_info",
    "schema_version",
    "schema_versions",
    "version",
];

/// Whether `table` may belong to a tool.
pub(super) fn is_perhaps(table: &str) -> bool {
    PERHAPS.binary_search(&table.to_ascii_lowercase().as_str()).is_ok()
}

/// Whether `table` belongs to a known tool.
pub(super) fn is_known(table: &str) -> bool {
    NAMES.binary_search(&table.to_ascii_lowercase().as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_order_and_found_in_any_case() {
        assert!(NAMES.is_sorted() && NAMES.iter().all(|name| is_known(name)));
        assert!(PERHAPS.is_sorted() && PERHAPS.iter().all(|name| is_perhaps(name) && !is_known(name)));
        assert!(is_known("__EFMigrationsHistory") && is_known("SequelizeMeta"));
        assert!(!is_known("django_content_type") && !is_known("migrations"));
    }
}
