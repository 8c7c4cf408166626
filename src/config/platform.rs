//! The hosting platform that a run finds itself on, by the variables it sets in every container, and what is true there
//! of files and of time. (Railway: "Pre-Deploy Command", "Volumes"; Heroku: "Release Phase"; Render: "Persistent
//! Disks"; Fly: fly.toml, "The deploy section".)

use super::environment::Environment;
use std::time::Duration;

/// Variable → who sets it.
const VARIABLES: [(&str, &str); 7] = [
    ("RAILWAY_ENVIRONMENT", "Railway"),
    ("RAILWAY_ENVIRONMENT_NAME", "Railway"),
    ("RAILWAY_PROJECT_ID", "Railway"),
    ("DYNO", "Heroku"),
    ("RENDER", "Render"),
    ("FLY_APP_NAME", "Fly"),
    ("FLY_MACHINE_ID", "Fly"),
];

/// Where the run is.
#[derive(Debug, Clone)]
pub struct Platform {
    /// Its name.
    pub name: &'static str,
    /// This is known to be a release command, and not the application's own container.
    pub release: bool,
    /// Where the platform says that a volume is mounted.
    pub volume: Option<String>,
    /// How long a release command may take.
    pub budget: Option<Duration>,
}

impl Platform {
    /// The platform whose variables are in the environment; what is in `.env` does not count.
    pub(super) fn of(env: &Environment) -> Option<Platform> {
        let (_, name) = VARIABLES.iter().find(|(variable, _)| env.has(variable))?;
        let value = |variable: &str| env.first(&[variable]).map(|(value, _)| value);
        let release = match *name {
            "Heroku" => value("DYNO").is_some_and(|dyno| dyno.starts_with("release.")),
            "Fly" => value("RELEASE_COMMAND").is_some(),
            _ => false,
        };
        let budget = match *name {
            "Heroku" => Some(Duration::from_secs(60 * 60)),
            "Fly" => Some(Duration::from_secs(5 * 60)),
            _ => None,
        };
        Some(Platform { name, release, volume: value("RAILWAY_VOLUME_MOUNT_PATH"), budget })
    }

    /// Why a source is not there, and what to do instead.
    #[must_use]
    pub fn missing_source(&self) -> String {
        let (why, from) = match self.name {
            "Railway" if self.volume.is_some() => (
                "On Railway a volume is mounted in this container: look for the file there ($RAILWAY_VOLUME_MOUNT_PATH)",
                "",
            ),
            "Railway" => (
                "On Railway volumes are not mounted in a pre-deploy command, and this container has none: a file on one is not seen here",
                " (railway ssh reaches the service's container, where the volume is)",
            ),
            "Heroku" => ("On Heroku the file system holds what the slug brought and nothing else", ""),
            "Render" => (
                "On Render a disk is there only once the deploy is live, not in a pre-deploy command",
                " (EXTERNAL_URL: the database's External Database URL in the dashboard)",
            ),
            _ => (
                "On Fly volumes are not mounted in a release command's machine",
                " (PROXIED_URL: the database through fly proxy 15432:5432 -a ITS-APP)",
            ),
        };
        let url = match self.name {
            "Railway" => "$DATABASE_PUBLIC_URL",
            "Heroku" => "$(heroku config:get DATABASE_URL)",
            "Render" => "$EXTERNAL_URL",
            _ => "$PROXIED_URL",
        };
        let kept = if self.name == "Heroku" { "" } else { ", where the volume is mounted" };
        format!(
            "  {why}. Either\n    \
             run it once from a machine that has the file{from}: outgrow migrate --source app.db --database-url \"{url}\"\n    \
             bake the file into the image, and name it: COPY app.db /app/app.db, SOURCE_DATABASE_URL=/app/app.db\n    \
             copy at start: put outgrow migrate before the application in the start command{kept}"
        )
    }

    /// What a run that may take long should know.
    #[must_use]
    pub fn time(&self) -> Option<String> {
        let budget = humantime::format_duration(self.budget?);
        let more = match self.name {
            "Fly" => "; release_command_timeout = \"30m\" in fly.toml allows more",
            _ => ", whatever is set",
        };
        Some(format!("{} ends a release command after {budget}{more}", self.name))
    }
}
