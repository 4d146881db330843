//! A training in its folder: from wherever it stands to its end, with all that it leaves behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use toml::Table;
use vcp_checkpoint::{Precision, Weights};
use vcp_dataset::Sample;
use vcp_files::Lock;
use vcp_image::DecodeOptions;
use vcp_predict::PredictorOptions;
use vcp_train::{Event, Examples, State, Trainer, Validation, average, run as train, validate};

use super::log::Log;
use crate::device::Place;
use crate::exit::{Exit, OrUsage, usage};
use crate::files::write_whole;
use crate::interrupt::Stop;

/// What a run is made of.
pub(crate) struct Session {
    pub(crate) folder: RunFolder,
    pub(crate) trainer: Trainer,
    pub(crate) examples: Arc<dyn Examples>,
    /// The model at the start; later it takes what has been trained.
    pub(crate) weights: Weights,
    /// All that the run depends on, written down as config.toml.
    pub(crate) configuration: Table,
    pub(crate) outputs: Outputs,
    pub(crate) validation: Option<ValidationSet>,
    /// Epochs without a better validation after which the run ends.
    pub(crate) patience: Option<usize>,
    pub(crate) save_every: u64,
    pub(crate) workers: usize,
    pub(crate) quiet: bool,
}

/// What every epoch leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outputs {
    /// The learned part in the official layout; bundles of the best and the last epoch, and of the
    /// average of so many last ones, when the run ends: they hold all of CLIP.
    Checkpoints { averaged: usize },
    /// A bundle: what is trained is the whole model. And one of the average of so many last ones.
    Bundles { averaged: usize },
}

/// Images that are judged after every epoch.
pub(crate) struct ValidationSet {
    /// Each with its category.
    pub(crate) samples: Vec<(String, Sample)>,
    pub(crate) decode: DecodeOptions,
    /// Where the model runs.
    pub(crate) place: Place,
}

/// What the state remembers besides the training itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// Epochs whose files have been written.
    written: usize,
    /// The best validation so far, and its epoch.
    best: Option<(f64, usize)>,
    is_ended: bool,
    /// The branches' shares in the map after each epoch, where they are learned.
    blends: BTreeMap<usize, [f32; 2]>,
}

impl Memory {
    /// The mean of the branches' shares over epochs, if they are known of all of them.
    fn blend(&self, epochs: &[usize]) -> Option<[f32; 2]> {
        let blends: Option<Vec<_>> = epochs.iter().map(|it| self.blends.get(it)).collect();
        let blends = blends.filter(|blends| !blends.is_empty())?;
        let mean = |branch: usize| {
            let sum: f32 = blends.iter().map(|blend| blend[branch]).sum();
            sum / blends.len() as f32
        };
        Some([mean(0), mean(1)])
    }

    /// The numbers of so many last epochs.
    fn last(&self, count: usize) -> std::ops::RangeInclusive<usize> {
        self.written.saturating_sub(count - 1).max(1)..=self.written
    }
}

const STATE: &str = "state.safetensors";
const CONFIGURATION: &str = "config.toml";

/// The names of what a run writes, to tell a run's folder from another.
fn is_of_a_run(name: &str) -> bool {
    let is_numbered = name.starts_with("epoch-") || name.starts_with("events.out.tfevents.");
    let models = ["best", "last", "average"]
        .map(|model| [".safetensors", ".pth"].map(|ending| format!("{model}{ending}")));
    is_numbered
        || [STATE, CONFIGURATION, "metrics.jsonl", "loss.png"].contains(&name)
        || models.iter().flatten().any(|model| model == name)
}

/// The folder of a run, into which no other run writes meanwhile.
pub(crate) struct RunFolder {
    path: PathBuf,
    _lock: Lock,
}

impl RunFolder {
    /// Makes the folder and locks it. With `restart`, what another run left in it is removed.
    ///
    /// # Errors
    /// When another run has locked it, and when it holds something that a run would replace or that
    /// `restart` would remove, but no configuration of a run: it is somebody else's then.
    pub(crate) fn prepare(path: PathBuf, restart: bool) -> anyhow::Result<Self> {
        let problem = || format!("{} cannot be used for a run", path.display());
        fs::create_dir_all(&path).with_context(problem)?;
        let lock = Lock::of_folder(&path).or_usage()?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).with_context(problem)? {
            let entry = entry.with_context(problem)?;
            let name = entry.file_name();
            names.extend(name.into_string().ok().filter(|name| is_of_a_run(name)));
        }
        let is_a_run =
            fs::read_to_string(path.join(CONFIGURATION)).is_ok_and(|text| is_configuration(&text));
        if !is_a_run && !names.is_empty() {
            names.sort_unstable();
            names.truncate(3);
            return Err(usage(format!(
                "{} is not the folder of a run, for it has no {CONFIGURATION} that a run has written, \
                 but it holds {}; nothing was removed or replaced. Name another --out.",
                path.display(),
                names.join(", ")
            )));
        }
        vcp_files::remove_leftovers(&path);
        if is_a_run {
            remove_unfinished_states(&path);
        }
        if restart {
            // What tells of a run goes last, or being killed here would leave what nothing tells of.
            names.sort_by_key(|name| name == CONFIGURATION);
            for name in names {
                fs::remove_file(path.join(name)).with_context(problem)?;
            }
        }
        Ok(Self { path, _lock: lock })
    }
}

/// Whether this is what [`Session::settle_configuration`] writes, in whatever version.
fn is_configuration(text: &str) -> bool {
    let Ok(table) = text.parse::<Table>() else {
        return false;
    };
    let part = |name: &str| table.get(name).and_then(toml::Value::as_table);
    let has = |name: &str, key: &str| part(name).is_some_and(|part| part.contains_key(key));
    has("program", "version") && has("model", "geometry") && part("recipe").is_some()
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

impl Session {
    /// Goes on from where the run in the folder stands, or begins it.
    pub(crate) fn run(mut self) -> anyhow::Result<Exit> {
        self.settle_configuration()?;
        let state = self.folder.path.join(STATE);
        if state.exists() {
            self.trainer.resume(State::read(&state)?).or_usage()?;
        }
        let mut memory: Memory = match self.trainer.extra() {
            serde_json::Value::Null => Memory::default(),
            extra => serde_json::from_value(extra.clone())
                .with_context(|| format!("{} is of another program", state.display()))?,
        };
        let stop = Stop::on_signals();
        let mut log = Log::open(&self.folder.path, &self.trainer, self.quiet)?;
        // Locked until the end.
        let RunFolder {
            path: folder,
            _lock,
        } = self.folder;
        let Self {
            mut trainer,
            examples,
            mut weights,
            outputs,
            validation,
            patience,
            save_every,
            workers,
            ..
        } = self;
        let mut epoch = |trainer: &mut Trainer, log: &mut Log, done: usize| {
            let end = Epoch {
                folder: &folder,
                weights: &mut weights,
                outputs,
                validation: validation.as_ref(),
                patience,
                stop: &stop,
            };
            end.finish(trainer, log, &mut memory, done)
        };
        let done = trainer.position().epoch;
        // It was killed while it wrote what an epoch leaves.
        let mut flow = if trainer.position().batch == 0 && done > 0 {
            let flow = epoch(&mut trainer, &mut log, done)?;
            trainer.state().write(&state)?;
            flow
        } else {
            ControlFlow::Continue(())
        };
        if flow.is_continue() {
            train(
                &mut trainer,
                &examples,
                &state,
                save_every,
                workers,
                |trainer, event| -> anyhow::Result<_> {
                    match event {
                        Event::Step(report) => log.step(&report, trainer)?,
                        Event::Save => log.sync()?,
                        Event::Epoch(done) => flow = epoch(trainer, &mut log, done)?,
                    }
                    Ok(if stop.is_requested() {
                        ControlFlow::Break(())
                    } else {
                        flow
                    })
                },
            )?;
        }
        // An epoch whose files are missing is not over, even if its last step has been made.
        let is_complete = memory.written >= trainer.recipe().epochs;
        if !(is_complete || memory.is_ended) {
            return Ok(Exit::Interrupted);
        }
        match outputs {
            Outputs::Checkpoints { averaged } => {
                bundle_at_the_end(&folder, &mut weights, averaged, &memory)?;
            }
            Outputs::Bundles { averaged } if averaged > 1 => {
                let of_epoch = |epoch| folder.join(format!("epoch-{epoch:03}.safetensors"));
                let bundles: Vec<PathBuf> = memory.last(averaged).map(of_epoch).collect();
                average(&mut weights, &bundles)?;
                weights.write_bundle(&folder.join("average.safetensors"), Precision::F16)?;
            }
            Outputs::Bundles { .. } => {}
        }
        Ok(Exit::Done)
    }

    /// Writes down what the run depends on, or compares it with what was written down when it began.
    fn settle_configuration(&self) -> anyhow::Result<()> {
        let path = self.folder.path.join(CONFIGURATION);
        let unreadable = || format!("{} cannot be read", path.display());
        if self.folder.path.join(STATE).exists() {
            let text = fs::read_to_string(&path).with_context(unreadable)?;
            let before: Table = text.parse().with_context(unreadable)?;
            let differing = differences("", &before, &self.configuration);
            if !differing.is_empty() {
                return Err(usage(format!(
                    "The run in {} was begun with another {}. Give the same options to go on with \
                     it, another --out, or --restart to begin anew.",
                    self.folder.path.display(),
                    differing.join(", ")
                )));
            }
            return Ok(());
        }
        let text = toml::to_string(&self.configuration)?;
        write_whole(&path, |file| {
            std::io::Write::write_all(file, text.as_bytes())
        })
        .with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// The keys whose values differ, `program` left out: a newer version may go on.
fn differences(prefix: &str, one: &Table, other: &Table) -> Vec<String> {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    keys.into_iter()
        .filter(|key| !(prefix.is_empty() && *key == "program"))
        .flat_map(|key| match (one.get(key), other.get(key)) {
            (Some(toml::Value::Table(one)), Some(toml::Value::Table(other))) => {
                differences(&format!("{prefix}{key}."), one, other)
            }
            (one, other) if one == other => Vec::new(),
            _ => vec![format!("{prefix}{key}")],
        })
        .collect()
}

/// The end of an epoch.
struct Epoch<'a> {
    folder: &'a Path,
    weights: &'a mut Weights,
    outputs: Outputs,
    validation: Option<&'a ValidationSet>,
    patience: Option<usize>,
    stop: &'a Stop,
}

impl Epoch<'_> {
    /// Writes what it leaves, if that has not been done. Whether the run goes on.
    fn finish(
        self,
        trainer: &mut Trainer,
        log: &mut Log,
        memory: &mut Memory,
        done: usize,
    ) -> anyhow::Result<ControlFlow<()>> {
        let ended = |memory: &Memory| {
            if memory.is_ended {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        if memory.written >= done {
            return Ok(ended(memory));
        }
        trainer.write_into(self.weights)?;
        if let Some(blend) = trainer.blend() {
            memory.blends.insert(done, blend);
        }
        let mut names = vec![format!("epoch-{done:03}"), "last".to_owned()];
        let found = match self.validation {
            Some(set) => {
                let Some(found) = self.judge(set)? else {
                    return Ok(ControlFlow::Break(()));
                };
                Some(found)
            }
            None => None,
        };
        if let Some(blend) = found.and_then(|found| found.blend)
            && memory.best.is_none_or(|(best, _)| blend > best)
        {
            memory.best = Some((blend, done));
            names.push("best".to_owned());
        }
        for name in names {
            match self.outputs {
                Outputs::Checkpoints { .. } => self
                    .weights
                    .write_checkpoint(&self.folder.join(format!("{name}.pth")))?,
                Outputs::Bundles { .. } => self.weights.write_bundle(
                    &self.folder.join(format!("{name}.safetensors")),
                    Precision::F16,
                )?,
            }
        }
        log.epoch(trainer, done, found.as_ref())?;
        memory.written = done;
        let stale = memory.best.map_or(0, |(_, epoch)| done - epoch);
        memory.is_ended = self.patience.is_some_and(|patience| stale >= patience);
        trainer.set_extra(serde_json::to_value(&*memory)?);
        Ok(ended(memory))
    }

    /// Nothing if the user has had enough.
    fn judge(&self, set: &ValidationSet) -> anyhow::Result<Option<Validation>> {
        let watch = |_| {
            if self.stop.is_requested() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let options = PredictorOptions::default();
        let predictor = set.place.predictor_amid_work(self.weights, &options)?;
        Ok(validate(&predictor, &set.samples, &set.decode, watch)?)
    }
}

/// Bundles of the last and the best epoch, and of the average of the last ones.
fn bundle_at_the_end(
    folder: &Path,
    weights: &mut Weights,
    averaged: usize,
    memory: &Memory,
) -> anyhow::Result<()> {
    // Thresholds that the model brought were found with other weights.
    weights.set_calibration(None)?;
    let mut bundle = |name: &str, epochs: &[usize]| -> anyhow::Result<()> {
        let of_epoch = |epoch: &usize| folder.join(format!("epoch-{epoch:03}.pth"));
        let paths: Vec<PathBuf> = epochs.iter().map(of_epoch).collect();
        average(weights, &paths)?;
        if let Some(blend) = memory.blend(epochs) {
            weights.set_blend(blend)?;
        }
        let path = |ending: &str| folder.join(format!("{name}.{ending}"));
        weights.write_checkpoint(&path("pth"))?;
        Ok(weights.write_bundle(&path("safetensors"), Precision::AsStored)?)
    };
    let last = memory.written;
    bundle("last", &[last])?;
    if let Some((_, best)) = memory.best {
        bundle("best", &[best])?;
    }
    if averaged > 1 {
        bundle("average", &memory.last(averaged).collect::<Vec<_>>())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_keys_are_named() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let one = table("seed = 1\n[recipe]\nepochs = 2\nrate = 0.5\n[program]\nversion = '1'");
        let other = table("seed = 1\n[recipe]\nepochs = 3\n[program]\nversion = '2'");
        assert!(differences("", &one, &one).is_empty());
        assert_eq!(
            differences("", &one, &other),
            ["recipe.epochs", "recipe.rate"]
        );
    }

    #[test]
    fn a_runs_configuration_is_known() {
        let ours = "[program]\nversion = '0.1.0'\n[model.geometry]\n[recipe]\nepochs = 3";
        assert!(is_configuration(ours));
        for other in [
            "",
            "baseURL = 'https://example.org'\ntitle = 'My site'",
            "[program]\nversion = '1'\n[recipe]",
            "not = [toml",
        ] {
            assert!(!is_configuration(other), "{other}");
        }
    }

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
        for name in ["visa.safetensors", "photo.png", "config.toml.bak", "best"] {
            assert!(!is_of_a_run(name), "{name}");
        }
    }
}
