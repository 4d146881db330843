//! Options of a watched folder, for the commands that watch one. The folder itself is the argument called `watch`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use vcp_watch::Outcome;

use super::numbers::within;

/// When photos of a folder are whole, and where they and their results go.
#[derive(Debug, Args)]
#[group(requires = "watch")]
pub(crate) struct WatchedArgs {
    /// Take a photo for whole when its file has not changed for this many seconds, from 0 to 3600. On
    /// Linux, one that was closed by whoever wrote it is whole at once.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 2.0,
        value_parser = within(0.0_f64..=3600.0),
        help_heading = "Folder"
    )]
    pub(crate) settle: f64,

    /// Look through the folder every so many seconds, from 0.1 to 3600, instead of having the system tell of
    /// changes: for network folders [default: have it tell, and look every 30 seconds].
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = within(0.1_f64..=3600.0),
        help_heading = "Folder"
    )]
    pub(crate) poll: Option<f64>,

    /// Move photos that were inspected, by their outcome: ok, review, defect or failed. They keep the
    /// folders they have in FOLDER, and replace nothing.
    #[arg(
        long = "move",
        value_name = "OUTCOME=DIR,…",
        value_delimiter = ',',
        help_heading = "Folder"
    )]
    pub(crate) moves: Vec<MoveTo>,

    /// Remember in this file which photos were inspected, where there is no history to do so [default: a
    /// file of the folder's own in the platform's folder for data].
    #[arg(long, value_name = "FILE", help_heading = "Folder")]
    pub(crate) journal: Option<PathBuf>,

    /// Add a row for each photo to this CSV file, with links to photo and overlay.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) csv: Option<PathBuf>,

    /// Tell this MQTT broker of each photo: mqtt://HOST[:PORT], or mqtts:// with TLS.
    #[arg(long, value_name = "URL", help_heading = "MQTT")]
    pub(crate) mqtt: Option<String>,

    /// Tell it under this topic: TOPIC/result, and TOPIC/status, which is retained.
    #[arg(
        long,
        value_name = "TOPIC",
        default_value = "vcp-clip",
        help_heading = "MQTT"
    )]
    pub(crate) topic: String,

    /// Log in to the broker with the user in the first line of this file and the password in the second.
    #[arg(long, value_name = "FILE", help_heading = "MQTT")]
    pub(crate) mqtt_login: Option<PathBuf>,

    /// Check the broker's certificate by those in this PEM file [default: those that browsers trust].
    #[arg(long, value_name = "FILE", help_heading = "MQTT")]
    pub(crate) mqtt_ca: Option<PathBuf>,

    /// Messages that wait while the broker cannot be reached, from 1 to 1000000; of more, the oldest are
    /// dropped.
    #[arg(
        long,
        value_name = "MESSAGES",
        default_value_t = 10_000,
        value_parser = within(1_usize..=1_000_000),
        help_heading = "MQTT"
    )]
    pub(crate) mqtt_backlog: usize,
}

/// Where photos of an outcome go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MoveTo {
    pub(crate) outcome: Outcome,
    pub(crate) folder: PathBuf,
}

impl FromStr for MoveTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let outcomes = [
            Outcome::Ok,
            Outcome::Review,
            Outcome::Defect,
            Outcome::Failed,
        ];
        let parts = text
            .split_once('=')
            .filter(|(_, folder)| !folder.is_empty());
        let found = parts.and_then(|(word, folder)| {
            let outcome = outcomes.into_iter().find(|it| it.word() == word)?;
            Some(Self {
                outcome,
                folder: folder.into(),
            })
        });
        found.ok_or_else(|| "expected ok=DIR, review=DIR, defect=DIR or failed=DIR".to_owned())
    }
}
