//! A role of its own for a test: what works with the owner's rights, and what is said without them.

use super::Project;
use std::process::Command;

/// A role without any privilege of its own, and a URL with which it connects. Roles belong to the whole server: each
/// has the name of its database, and ends with the test.
pub struct Role<'a> {
    project: &'a Project,
    pub name: String,
}

impl Role<'_> {
    pub fn of(project: &Project) -> Role<'_> {
        let name = project.query("SELECT 'role of ' || current_database()").remove(0);
        project.execute(&format!("CREATE ROLE \"{name}\" LOGIN PASSWORD 'of-a-test-only'"));
        Role { project, name }
    }

    /// A role that may make tables, and no temporary ones, which everybody may unless that was revoked.
    pub fn without_temporary_tables(project: &Project) -> Role<'_> {
        let role = Role::of(project);
        project.execute(&format!(
            "GRANT ALL ON SCHEMA public TO \"{}\";
             DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$",
            role.name
        ));
        role
    }

    /// The role runs `outgrow migrate`.
    pub fn migrate(&self) -> Command {
        self.command("migrate")
    }

    /// The role runs a command of the program.
    pub fn command(&self, verb: &str) -> Command {
        let url = self.project.url();
        let (_, host) = url.rsplit_once('@').expect("a host");
        let name = self.name.replace(' ', "%20");
        let mut command = self.project.command([verb]);
        command.env("DATABASE_URL", format!("postgres://{name}:of-a-test-only@{host}"));
        command
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.project.execute(&format!("DROP OWNED BY \"{0}\" CASCADE; DROP ROLE \"{0}\"", self.name));
        }
    }
}
