//! The folder of a run.

use std::fs;
use std::path::{Path, PathBuf};

use vcp_files::Lock;

use super::configuration::is_configuration;
use crate::log::RunLog;
use crate::{Error, State};

/// Name of the file with the state from which a killed run resumes.
pub(super) const STATE: &str = "state.safetensors";
/// Name of the file with all that a run depends on, which also tells that a folder is that of a run.
pub(super) const CONFIGURATION: &str = "config.toml";
/// How the names of the models begin that epochs leave.
const EPOCH: &str = "epoch-";

/// The file of a model that an epoch leaves, without ending.
pub(super) fn of_epoch(epoch: usize) -> String {
    format!("{EPOCH}{epoch:03}")
}

/// The names of what a run writes, to tell a run's folder from another.
fn is_of_a_run(name: &str) -> bool {
    let is_model = |name: &str| {
        let digits = name
            .strip_suffix(".pth")
            .or(name.strip_suffix(".safetensors"));
        digits.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_numbered =
        name.strip_prefix(EPOCH).is_some_and(is_model) || name.starts_with("events.out.tfevents.");
    let models = ["best", "last", "average"]
        .map(|model| [".safetensors", ".pth"].map(|ending| format!("{model}{ending}")));
    is_numbered
        || [STATE, CONFIGURATION, RunLog::METRICS, RunLog::CHART].contains(&name)
        || models.iter().flatten().any(|model| model == name)
}

/// The folder of a run, into which no other run writes as long as this is kept.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: Lock,
}

impl RunFolder {
    /// Makes the folder and locks it. With `restart`, what another run has left in it is removed.
    ///
    /// # Errors
    /// [`Error::Locked`] when another run has locked it; [`Error::NotARun`] when it holds something that a
    /// run would replace or that `restart` would remove, but no configuration of a run, since it is somebody
    /// else's then; [`Error::Folder`] when the operating system refuses something.
    pub fn prepare(path: PathBuf, restart: bool) -> Result<Self, Error> {
        let problem = |source| Error::Folder {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&path).map_err(problem)?;
        let lock = Lock::of_folder(&path)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(problem)? {
            let name = entry.map_err(problem)?.file_name();
            names.extend(name.into_string().ok().filter(|name| is_of_a_run(name)));
        }
        let is_a_run =
            fs::read_to_string(path.join(CONFIGURATION)).is_ok_and(|text| is_configuration(&text));
        if !is_a_run && !names.is_empty() {
            names.sort_unstable();
            names.truncate(3);
            return Err(Error::NotARun { path, found: names });
        }
        vcp_files::remove_leftovers(&path);
        if is_a_run {
            remove_unfinished_states(&path);
        }
        if restart {
            // What tells of a run goes last, or being killed here would leave what nothing tells of.
            names.sort_by_key(|name| name == CONFIGURATION);
            for name in names {
                fs::remove_file(path.join(name)).map_err(problem)?;
            }
        }
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes what an earlier version was writing when it was killed: a state under a name that says
/// nothing, but whose first bytes do. Today's are among what [`vcp_files::remove_leftovers`] knows.
fn remove_unfinished_states(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(".tmp"));
        let is_named_so = random.is_some_and(|random| {
            random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_named_so && is_file && State::begins(&entry.path()).unwrap_or(false) {
            // What cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_files_are_known() {
        for name in [
            "state.safetensors",
            "epoch-003.pth",
            "best.safetensors",
            "loss.png",
        ] {
            assert!(is_of_a_run(name), "{name}");
        }
        for name in [
            "visa.safetensors",
            "photo.png",
            "config.toml.bak",
            "best",
            "epoch-notes.md",
            "epoch-.pth",
            "epoch-1x.pth",
        ] {
            assert!(!is_of_a_run(name), "{name}");
        }
    }

    #[test]
    fn nobody_elses_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let ours = |path: &Path, restart| RunFolder::prepare(path.to_owned(), restart);
        let (page, model) = ("config.toml", "best.pth");
        fs::write(folder.path().join(page), "title = 'My site'").unwrap();
        fs::write(folder.path().join(model), "mine").unwrap();
        for restart in [false, true] {
            let error = ours(folder.path(), restart).unwrap_err();
            assert!(matches!(&error, Error::NotARun { found, .. } if *found == [model, page]));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);

        let run = "[program]\nversion = '1'\n[model.geometry]\n[recipe]\n";
        fs::write(folder.path().join(page), run).unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        drop(ours(folder.path(), false).unwrap());
        assert!(folder.path().join(model).exists());
        let held = ours(folder.path(), true).unwrap();
        assert!(!held.path().join(model).exists() && !held.path().join(page).exists());
        assert!(held.path().join("notes.txt").exists());
        assert!(matches!(ours(folder.path(), true), Err(Error::Locked(_))));
    }
}
