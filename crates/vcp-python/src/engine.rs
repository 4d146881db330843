//! A loaded model.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use vcp_clip::photos::{Decoding, Found, Inputs, PhotoPath, ScanOptions};
use vcp_clip::pipeline::{Pipeline, guarded};
use vcp_clip::references::Remembered;
use vcp_clip::{
    Device, Error, Inspector, InspectorOptions, Model, ModelOptions, ReferenceChoice, Stop,
};

use crate::arguments::Arguments;
use crate::errors::{Failure, Kind};
use crate::inspection::{Inspection, Thresholds};
use crate::source::Source;
use crate::work::{on_own_threads, work};

/// How often this process has been forked from one that had imported this module.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// To be called in the child of a fork: the threads of models that were loaded before are not there.
#[pyfunction]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// In which process, of parent and children, something was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Generation {
    pub(crate) fn now() -> Self {
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this is still the process.
    pub(crate) fn is_now(self) -> bool {
        self == Self::now()
    }
}

/// A loaded model with what an inspector was made with. Threads may share one.
#[pyclass(frozen, weakref, module = "vcp_clip")]
pub(crate) struct Engine {
    pub(crate) loaded: Arc<Loaded>,
    generation: Generation,
}

pub(crate) struct Loaded {
    pub(crate) inspector: Inspector,
    pub(crate) model: ModelOptions,
    pub(crate) options: InspectorOptions,
    pub(crate) threads: Option<NonZeroUsize>,
    /// Whether reference photos were given that are stored nowhere.
    pub(crate) has_given_references: bool,
    device: String,
    notes: Vec<String>,
}

impl Loaded {
    fn open(arguments: &Arguments, stop: &Stop) -> Result<Self, Failure> {
        let mut notes = Vec::new();
        let mut options = arguments.inspector()?;
        let name = arguments.device()?;
        let model_options = arguments.model()?;
        let model = model_options.open().map_err(Error::from)?;
        let precision = model.weights().settings().precision;
        let device = Device::find_for(name, precision).map_err(Error::from)?;
        notes.extend(device.note().map(str::to_owned));
        if model.has_forgotten() {
            notes.push(
                "The model's reference photos were processed with other settings, so photos are not compared with \
                 them."
                    .to_owned(),
            );
        }
        if model.is_unprepared() {
            notes.push(
                "The weights are brought to int8 as they are, by which a transformer may lose much; `vcp-clip model pack \
                 --precision int8 --photos …` prepares them."
                    .to_owned(),
            );
        }
        if !model.ignored_tensors().is_empty() {
            let count = model.ignored_tensors().len();
            notes.push(format!(
                "{count} tensors were passed over, since the model has no use for them."
            ));
        }
        if arguments.no_references {
            options.references = ReferenceChoice::Without;
        }
        let inspector = match &arguments.references {
            None => Inspector::new(&model, &device, &options)?,
            Some(paths) => comparing(paths, &model, &device, &options, stop, &mut notes)?,
        };
        if let Some(other) = inspector.set_aside() {
            notes.push(format!(
                "The model's calibration was found {other} and is set aside."
            ));
        }
        Ok(Self {
            inspector,
            model: model_options,
            options,
            threads: arguments.threads(),
            has_given_references: arguments.references.is_some(),
            device: device.name().to_owned(),
            notes,
        })
    }
}

/// An inspector that compares photos with those in these files, folders and patterns.
fn comparing(
    paths: &[std::path::PathBuf],
    model: &Model,
    device: &Device,
    options: &InspectorOptions,
    stop: &Stop,
    notes: &mut Vec<String>,
) -> Result<Inspector, Failure> {
    if paths.iter().any(|path| path.as_os_str() == "-") {
        return Err(Failure::new(
            Kind::Input,
            "References are files, folders and patterns; - is none.",
        ));
    }
    let none = Box::new(std::io::empty());
    let inputs = Inputs::gather(paths, ScanOptions::default(), none).map_err(Error::from)?;
    let without = InspectorOptions {
        calibration: None,
        references: ReferenceChoice::Without,
        ..options.clone()
    };
    let inspector = Inspector::new(model, device, &without)?;
    let mut photos = Vec::new();
    for found in inputs {
        match found {
            Found::Photo(photo) => photos.push(photo),
            Found::Unreadable { error, .. } => notes.push(error),
        }
    }
    let words: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let words = [words.join(", "), vcp_files::today()];
    let mut on_photo = |photo: &PhotoPath, outcome: Remembered| {
        let why = match outcome {
            Remembered::Taken => return,
            Remembered::Copy => "it is a copy of another reference photo".to_owned(),
            Remembered::Failed(error) => error.sentence(),
        };
        let path = photo.path.display().to_string();
        let note = if why.contains(&path) {
            why
        } else {
            format!("{path}: {why}")
        };
        notes.push(format!("Not used as a reference: {note}"));
    };
    let decoding = inspector.decoding(|_| ());
    let references = inspector.remember(model, &photos, &decoding, words, stop, &mut on_photo)?;
    let Some(references) = references else {
        return Err(Failure::internal());
    };
    Ok(inspector.with_references(model, &references, options)?)
}

#[pymethods]
impl Engine {
    #[staticmethod]
    fn open(py: Python<'_>, arguments: Arguments) -> PyResult<Self> {
        let loaded = work(py, move |stop| {
            // The digest of a bundle is computed by rayon's threads.
            on_own_threads(None, || Loaded::open(&arguments, stop))
        })?;
        Ok(Self {
            loaded: Arc::new(loaded),
            generation: Generation::now(),
        })
    }

    /// What should be known of how it was loaded, a sentence each.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.loaded.notes.clone()
    }

    #[getter]
    fn device(&self) -> &str {
        &self.loaded.device
    }

    #[getter]
    fn thresholds(&self) -> Thresholds {
        Thresholds::from(self.loaded.inspector.thresholds())
    }

    #[getter]
    fn is_calibrated(&self) -> bool {
        self.loaded.inspector.calibration().is_some()
    }

    #[getter]
    fn image_size(&self) -> usize {
        self.loaded.inspector.predictor().image_size()
    }

    /// Inspects one photo.
    fn inspect(&self, py: Python<'_>, photo: &Bound<'_, PyTuple>) -> PyResult<Inspection> {
        self.check()?;
        let (source, loaded) = (Source::of(photo)?, Arc::clone(&self.loaded));
        work(py, move |stop| {
            let begun = Instant::now();
            let label = source.label();
            let inspector = &loaded.inspector;
            let decoded = guarded(|| source.decode(inspector, inspector.decode_options()))?;
            let found = inspector.inspect_decoded(decoded, &mut |_, _| stop.flow())?;
            Ok(Inspection::new(found, label, begun.elapsed()))
        })
    }

    /// Inspects photos, each decoded while the model works on the one before: an inspection or an exception for
    /// each, in their order; with `raises` the first exception is raised.
    fn inspect_batch(
        &self,
        py: Python<'_>,
        photos: Vec<Bound<'_, PyTuple>>,
        raises: bool,
    ) -> PyResult<Vec<Py<PyAny>>> {
        self.check()?;
        let sources = photos.iter().map(Source::of);
        let sources = sources.collect::<PyResult<Vec<_>>>()?;
        let loaded = Arc::clone(&self.loaded);
        let outcomes = work(py, move |stop| batch(&loaded, sources, raises, stop))?;
        let objects = outcomes.into_iter().map(|outcome| match outcome {
            Ok(inspection) => Ok(Py::new(py, inspection)?.into_any()),
            Err(failure) if raises => Err(failure.into()),
            Err(failure) => Ok(failure.exception(py).into_value(py).into_any()),
        });
        objects.collect()
    }
}

impl Engine {
    /// Refuses to work with threads that are not there.
    pub(crate) fn check(&self) -> PyResult<()> {
        if self.generation.is_now() {
            return Ok(());
        }
        // The package's Python loads it anew instead.
        Err(Failure::new(
            Kind::Internal,
            "The model was loaded before this process was forked; load it anew.",
        )
        .into())
    }
}

/// What became of a photo.
pub(crate) type Outcome = Result<Inspection, Failure>;

/// Decodes and inspects photos at a time.
pub(crate) fn batch(
    loaded: &Arc<Loaded>,
    sources: Vec<Source>,
    raises: bool,
    stop: &Stop,
) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::with_capacity(sources.len());
    let decoding = decoding(loaded, &sources);
    let decoder = Arc::clone(loaded);
    let decode = move |source: Source| {
        let begun = Instant::now();
        let label = source.label();
        let decoded = guarded(|| source.decode_among(&decoder.inspector, &decoding));
        (label, decoded, begun.elapsed())
    };
    let (model, stopped) = (Arc::clone(loaded), stop.clone());
    let compute = move |(label, decoded, spent): (String, Result<_, Error>, Duration)| {
        let begun = Instant::now();
        let mut watch = |_, _| stopped.flow();
        let inspector = &model.inspector;
        let found = decoded.and_then(|photo| inspector.inspect_decoded(photo, &mut watch));
        let spent = spent + begun.elapsed();
        Ok::<_, Failure>(Inspection::new(found?, label, spent))
    };
    let mut pipeline = Pipeline::start(sources.into_iter(), decode, compute, stop)?;
    for outcome in pipeline.by_ref() {
        if let Ok(inspection) = &outcome
            && !stop.is_requested()
        {
            // They are found when they are asked for first, of small photos in a millisecond. Here that is while the
            // model works on the next photo; by Python it would be of one photo after the other when the model has
            // finished with all. Should it panic, whoever asks for them learns it.
            let _ = vcp_panics::caught(|| {
                inspection.found.regions();
            });
        }
        let has_failed = outcome.is_err();
        outcomes.push(outcome);
        if has_failed && raises {
            stop.request();
            break;
        }
    }
    pipeline.finish()?;
    Ok(outcomes)
}

/// How these photos are decoded: 16-bit files all alike.
pub(crate) fn decoding(loaded: &Loaded, sources: &[Source]) -> Decoding {
    let mut options = loaded.inspector.decode_options().clone();
    let paths: Vec<_> = sources.iter().filter_map(Source::path).collect();
    vcp_clip::photos::settle_bits(&mut options, None, &paths);
    Decoding::new(options, |_| ())
}
