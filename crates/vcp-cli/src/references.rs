//! Good photos that others are compared with: making a memory of them, with progress.

use vcp_checkpoint::References;
use vcp_clip::photos::{Decoding, PhotoPath};
use vcp_clip::references::Remembered;
use vcp_clip::{Inspector, Model};
use vcp_files::today;

use crate::console;
use crate::exit::{OrUsage, usage};
use crate::interrupt::Stop;
use crate::progress::Progress;

/// Makes a memory of these photos; none if it was interrupted. What is wrong with single ones is said, and the rest goes
/// on. `data` says in words what they are.
pub(crate) fn remember(
    inspector: &Inspector,
    model: &Model,
    photos: &[PhotoPath],
    decoding: &Decoding,
    data: &str,
    stop: &Stop,
    quiet: bool,
) -> anyhow::Result<Option<References>> {
    let progress = Progress::new(Some(photos.len()), quiet);
    let mut taken = 0;
    let words = [data.to_owned(), today()];
    let mut on_photo = |photo: &PhotoPath, outcome: Remembered| {
        let path = photo.path.display().to_string();
        let problem = match outcome {
            Remembered::Taken => {
                taken += 1;
                None
            }
            Remembered::Copy => Some("it is a copy of another reference photo".to_owned()),
            Remembered::Failed(error) => Some(error.sentence()),
        };
        if let (Some(problem), false) = (problem, quiet) {
            let note = if problem.contains(&path) {
                problem
            } else {
                format!("{path}: {problem}")
            };
            progress.around(|| console::note(&format!("Not used as a reference: {note}")));
        }
        progress.advance();
    };
    let references = inspector.remember(model, photos, decoding, words, stop, &mut on_photo);
    progress.finish();
    let references = references.or_usage()?;
    if references.is_none() && !quiet {
        console::note(&format!("Stopped after {taken} reference photos."));
    }
    Ok(references)
}

/// At most `count` of the photos, spread evenly.
pub(crate) fn spread(photos: &[PhotoPath], count: usize) -> anyhow::Result<Vec<PhotoPath>> {
    let all = photos.len();
    if count > all {
        return Err(usage(format!(
            "--references asks for {count} photos, but there are only {all} good ones."
        )));
    }
    let chosen = (0..count).map(|index| index * all / count);
    Ok(chosen.map(|index| photos[index].clone()).collect())
}
