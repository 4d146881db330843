//! What `watch` was asked to do.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vcp_clip::calibration::CalibrationSource;
use vcp_clip::model::data_folder;
use vcp_clip::photos::ScanOptions;
use vcp_clip::references::Copies;
use vcp_clip::{DeviceName, InspectionMask, ThresholdOptions, Tiling};
use vcp_image::DecodeOptions;
use vcp_watch::{MemoryOptions, MoveFolders, MqttOptions, WatchOptions};

use crate::args::WatchArgs;
use crate::exit::{OrUsage, usage};
use crate::kept_history;
use crate::model::Choice;

/// The validated options.
pub(crate) struct Options {
    pub(crate) watch: WatchOptions,
    pub(crate) choice: Choice,
    /// What the history calls the model.
    pub(crate) model_name: String,
    pub(crate) thresholds: ThresholdOptions,
    /// Good photos to compare with.
    pub(crate) references: Vec<PathBuf>,
    pub(crate) no_references: bool,
    pub(crate) scan: ScanOptions,
    pub(crate) calibration: Option<CalibrationSource>,
    pub(crate) decode: DecodeOptions,
    pub(crate) tiling: Option<Tiling>,
    pub(crate) mask: Option<InspectionMask>,
    pub(crate) min_area: u64,
    pub(crate) reference_copies: Copies,
    pub(crate) device: DeviceName,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) quiet: bool,
}

impl Options {
    /// Checks the arguments, and opens the history.
    pub(crate) fn new(arguments: WatchArgs) -> anyhow::Result<Self> {
        let judging = &arguments.judging;
        if arguments.photos.every_page() {
            return Err(usage(
                "watch takes each file for one photo; --page takes a number here.",
            ));
        }
        let thresholds = judging.thresholds()?;
        let tiling = arguments.tiling.tiling()?;
        let mask = arguments.photos.mask()?;
        let folder = arguments.folder.clone();
        if !folder.is_dir() {
            return Err(usage(format!(
                "{} is no folder that can be watched.",
                folder.display()
            )));
        }
        let mqtt = mqtt(&arguments)?;
        let moves = moves(&arguments)?;
        Ok(Self {
            watch: WatchOptions {
                memory: memory(&arguments, &folder)?,
                folder,
                recursive: arguments.photos.scan_options().recursive,
                settle: Duration::from_secs_f64(arguments.settle),
                poll: arguments.poll.map(Duration::from_secs_f64),
                table: arguments.csv,
                moves,
                mqtt,
            },
            model_name: model_name(
                arguments.choice.model.as_deref(),
                arguments.choice.checkpoint.as_deref(),
            ),
            choice: Choice::new(arguments.choice)?,
            thresholds,
            scan: arguments.photos.scan_options(),
            calibration: arguments.judging.calibration.map(CalibrationSource::File),
            references: arguments.judging.references,
            no_references: arguments.judging.no_references,
            decode: arguments.photos.decode_options(),
            tiling,
            mask,
            min_area: arguments.judging.min_area,
            reference_copies: arguments.judging.reference_copies.copies(),
            device: arguments.run.device.device,
            threads: arguments.run.threads,
            quiet: arguments.run.quiet,
        })
    }
}

/// What a model is called: the name of a bundle, or of the file of the trained part.
fn model_name(model: Option<&Path>, checkpoint: Option<&Path>) -> String {
    let file = model.or(checkpoint).and_then(Path::file_stem);
    file.map_or_else(
        || "built-in".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn memory(arguments: &WatchArgs, folder: &Path) -> anyhow::Result<MemoryOptions> {
    if let Some(history) = kept_history::open(&arguments.history)? {
        if arguments.journal.is_some() {
            return Err(usage(
                "The history remembers which photos were inspected; --journal is for --history none.",
            ));
        }
        return Ok(MemoryOptions::History(history, None));
    }
    let journal = if let Some(journal) = &arguments.journal {
        journal.clone()
    } else {
        let real = folder.canonicalize()?;
        let digest = vcp_files::sha256(real.as_os_str().as_encoded_bytes());
        let name = format!("{}.journal", &digest[..16]);
        data_folder().or_usage()?.join("watch").join(name)
    };
    Ok(MemoryOptions::Journal(journal))
}

fn moves(arguments: &WatchArgs) -> anyhow::Result<MoveFolders> {
    let mut moves = MoveFolders::new();
    for to in &arguments.moves {
        if moves.insert(to.outcome, to.folder.clone()).is_some() {
            return Err(usage(format!(
                "--move names two folders for {}.",
                to.outcome.word()
            )));
        }
    }
    Ok(moves)
}

fn mqtt(arguments: &WatchArgs) -> anyhow::Result<Option<MqttOptions>> {
    let Some(url) = &arguments.mqtt else {
        if arguments.mqtt_login.is_some() || arguments.mqtt_ca.is_some() {
            return Err(usage(
                "--mqtt-login and --mqtt-ca are about a broker; name it with --mqtt URL.",
            ));
        }
        return Ok(None);
    };
    let login = arguments.mqtt_login.as_deref().map(login).transpose()?;
    Ok(Some(MqttOptions {
        url: url.clone(),
        topic: arguments.topic.clone(),
        login,
        authority: arguments.mqtt_ca.clone(),
        backlog: arguments.mqtt_backlog,
    }))
}

/// User and password in a file.
fn login(file: &Path) -> anyhow::Result<(String, String)> {
    const LONGEST: u64 = 64 << 10;
    let shown = file.display();
    let content = vcp_files::read_at_most(file, LONGEST).map_err(|error| {
        usage(format!(
            "The file {shown} with user and password cannot be read: {error}."
        ))
    })?;
    let text = content.and_then(|content| String::from_utf8(content).ok());
    let text = text.unwrap_or_default();
    let mut lines = text.lines();
    match (lines.next(), lines.next()) {
        (Some(user), Some(password)) if !user.is_empty() => {
            Ok((user.to_owned(), password.to_owned()))
        }
        _ => Err(usage(format!(
            "The file {shown} has to hold a user in its first line and a password in its second."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_names() {
        for (model, checkpoint, expected) in [
            (None, None, "built-in"),
            (Some("visa"), None, "visa"),
            (Some("x/mine.safetensors"), None, "mine"),
            (None, Some("train_visa.pth"), "train_visa"),
        ] {
            let name = model_name(model.map(Path::new), checkpoint.map(Path::new));
            assert_eq!(name, expected);
        }
    }
}
