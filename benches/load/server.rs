//! A server of the benchmark's own, with the settings that a new server has.

use postgres::{Client, NoTls};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The database that every run begins anew.
const DATABASE: &str = "bench";

/// The server; it is stopped at the end, and keeps its data for the next time.
pub struct Server {
    folder: PathBuf,
    maintenance: String,
    /// URL of the database of the run.
    pub url: String,
}

impl Server {
    pub fn start(folder: &Path) -> Result<Server, Box<dyn Error>> {
        let folder = folder.join("server");
        let started = Command::new(script()).arg("start").arg(&folder).output()?;
        if !started.status.success() {
            return Err(String::from_utf8_lossy(&started.stderr).into());
        }
        let maintenance = String::from_utf8(started.stdout)?.trim().to_owned();
        let (server, _) = maintenance.rsplit_once('/').ok_or("a URL without a database")?;
        let url = format!("{server}/{DATABASE}");
        Ok(Server { folder, maintenance, url })
    }

    pub fn connect(&self) -> Result<Client, Box<dyn Error>> {
        Ok(Client::connect(&self.url, NoTls)?)
    }

    /// An empty database, and nothing left to write of the one before.
    pub fn fresh(&self) -> Result<Client, Box<dyn Error>> {
        let mut client = Client::connect(&self.maintenance, NoTls)?;
        client.execute(&format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"), &[])?;
        client.execute(&format!("CREATE DATABASE {DATABASE}"), &[])?;
        client.execute("CHECKPOINT", &[])?;
        self.connect()
    }

    /// Such as "15.8".
    pub fn version(&self) -> Result<String, Box<dyn Error>> {
        let mut client = Client::connect(&self.maintenance, NoTls)?;
        Ok(client.query_one("SHOW server_version", &[])?.get(0))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new(script()).arg("stop").arg(&self.folder).output();
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres")
}
