//! What a server is started with.

use std::sync::Arc;

use vcp_history::History;
use vcp_watch::WatchOptions;

use crate::access::Access;
use crate::limits::Limits;
use crate::models::ServedModel;

/// Is given sentences for the operator.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// How requests are answered.
#[derive(Clone)]
pub struct Options {
    /// Who may ask.
    pub access: Access,
    /// Names by which clients may call the server in the header `Host`, besides those of loopback. They are looked at only
    /// where the server listens on a loopback address.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may ask, such as `https://line.example`.
    pub allowed_origins: Vec<String>,
    /// How much is taken in at a time.
    pub limits: Limits,
    /// Is given sentences for the operator.
    pub tell: Tell,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Options")
            .field("access", &self.access)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("allowed_origins", &self.allowed_origins)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// What a server has once it is ready.
#[derive(Debug)]
pub struct Loaded {
    /// The models, at least one, each with a name of its own. The first is the one that is meant where none is named.
    pub models: Vec<ServedModel>,
    /// Where results are kept, if they are.
    pub history: Option<KeptHistory>,
    /// A folder whose photos the first model inspects too, if there is one.
    pub watch: Option<WatchOptions>,
}

impl Loaded {
    /// Takes up thresholds and reference photos that were chosen for the models while they were served before, unless
    /// their options say otherwise. Gives sentences for the operator.
    #[must_use]
    pub fn restore(&self) -> Vec<String> {
        let Some(kept) = &self.history else {
            return Vec::new();
        };
        let models = self.models.iter();
        models
            .flat_map(|model| model.restore(kept.history.folder()))
            .collect()
    }
}

/// A history, and which files it keeps.
#[derive(Debug, Clone)]
pub struct KeptHistory {
    /// The history.
    pub history: History,
    /// Whether it keeps overlays, so that they are made for it.
    pub overlays: bool,
    /// Whether it keeps maps.
    pub maps: bool,
}
