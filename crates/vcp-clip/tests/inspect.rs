//! The library as other programs use it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vcp_clip::calibration::{
    Aim, CalibrationDocument, CalibrationSource, FitOptions, Label, Measurements, Mismatch,
    PhotoIdentity, Viewing,
};
use vcp_clip::model::{ModelError, SettingChanges};
use vcp_clip::photos::{Decoding, Found, Inputs, PhotoPath, ScanOptions};
use vcp_clip::results::{ResultFolder, ResultKind};
use vcp_clip::{
    Bits, Decision, DecisionThresholds, DecodeOptions, Device, DeviceName, Error, Fault,
    Inspection, Inspector, InspectorOptions, Model, ModelName, ModelOptions, Photo,
    PredictorOptions, ResultNames, SampleDepth, Stop, ThresholdOptions, Tiling,
};
use vcp_testing::mini;

fn model() -> Model {
    Model::of(mini().weights())
}

fn two_threads() -> PredictorOptions {
    PredictorOptions {
        threads: NonZeroUsize::new(2),
        ..PredictorOptions::default()
    }
}

fn inspector(options: &InspectorOptions) -> Inspector {
    let options = InspectorOptions {
        predictor: two_threads(),
        ..options.clone()
    };
    Inspector::new(&model(), &Device::cpu(), &options).expect("the model loads")
}

fn photo(seed: usize) -> Photo {
    let pixels = (0..90 * 61 * 3).map(|index| ((index * 31 + seed * 97) % 251) as u8);
    Photo::from_rgb(90, 61, pixels.collect()).expect("a photo")
}

/// A PNG in a folder.
fn stored(folder: &Path, name: &str, seed: usize) -> PathBuf {
    let path = folder.join(name);
    let picture = vcp_image::Picture::from(photo(seed));
    picture.write_png(&path).expect("a picture");
    path
}

fn identity(path: &Path) -> PhotoIdentity {
    PhotoIdentity::of_file(path, None).expect("a file")
}

fn some_calibration() -> vcp_clip::calibration::Calibration {
    vcp_clip::calibration::Calibration {
        version: vcp_clip::calibration::Calibration::VERSION,
        pixel_threshold: 0.4,
        score_threshold: 0.6,
        range: (0.1, 0.7),
        data: String::new(),
        date: "2026-01-02".to_owned(),
        images: 12,
        apply_orientation: true,
        review_threshold: None,
        mask_sha256: None,
        windows: None,
        references: None,
        bits: None,
    }
}

fn same(one: &Inspection, other: &Inspection) -> bool {
    one.score().to_bits() == other.score().to_bits()
        && one.model_map() == other.model_map()
        && one.regions() == other.regions()
}

#[test]
fn a_photo_gives_the_same_wherever_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = stored(folder.path(), "a.png", 1);
    let thresholds = ThresholdOptions {
        pixel: Some(0.3),
        ..ThresholdOptions::default()
    };
    let inspector = inspector(&InspectorOptions {
        thresholds,
        ..InspectorOptions::default()
    });
    let from_file = inspector.inspect_file(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let from_bytes = inspector.inspect_bytes(&bytes, "upload").unwrap();
    let from_photo = inspector.inspect_photo(photo(1)).unwrap();
    assert!(same(&from_file, &from_bytes) && same(&from_file, &from_photo));
    assert_eq!((from_file.width(), from_file.height()), (90, 61));

    // As do many threads that share one inspector.
    let shared = Arc::new(inspector);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.inspect_photo(photo(1)).unwrap())
        })
        .collect();
    for thread in threads {
        assert!(same(&thread.join().unwrap(), &from_file));
    }

    // And a run over many.
    let inputs = Inputs::gather(
        &[folder.path().to_owned()],
        ScanOptions::default(),
        Box::new(std::io::empty()),
    )
    .unwrap();
    let gone = Found::Photo(PhotoPath {
        path: folder.path().join("gone.png"),
        relative: PathBuf::from("gone.png"),
        page: None,
    });
    let mut run = shared
        .inspect_all(
            inputs.chain([gone]),
            Decoding::new(DecodeOptions::default(), |_| {}),
            &Stop::default(),
            |_, _| {},
        )
        .unwrap();
    let first = run.next().unwrap();
    assert!(same(&first.outcome.unwrap(), &from_file));
    let second = run.next().unwrap().outcome.unwrap_err();
    assert_eq!(second.fault(), Fault::Input, "{second}");
    assert!(second.sentence().contains("gone.png"), "{second}");
    assert!(run.next().is_none());
    run.finish().unwrap();
}

#[test]
fn decisions_follow_the_thresholds() {
    let inspector = inspector(&InspectorOptions::default());
    assert_eq!(inspector.thresholds(), DecisionThresholds::UNCALIBRATED);
    let inspection = inspector.inspect_photo(photo(2)).unwrap();
    let score = inspection.score();
    let thresholds = |score: f32, pixel: f32| DecisionThresholds {
        score,
        review: None,
        pixel,
        range: (0.0, 1.0),
    };
    let everything = inspection.with_thresholds(thresholds(score, 0.0));
    assert!(everything.is_anomalous());
    assert_eq!(everything.regions().len(), 1);
    assert_eq!(everything.regions()[0].area, 90 * 61);
    let mask = everything.mask();
    assert!(mask.as_photo().pixels().iter().all(|&value| value == 255));
    let nothing = everything.with_thresholds(thresholds(score.next_up(), 1.5));
    assert!(!nothing.is_anomalous() && nothing.regions().is_empty());
    let record = nothing.record("a.png");
    assert!(!record.anomalous && record.regions.is_empty());
    assert_eq!(record.decision, Decision::Ok);
    let review = DecisionThresholds {
        review: Some(score),
        ..thresholds(score.next_up(), 0.5)
    };
    let record = nothing.with_thresholds(review).record("a.png");
    assert_eq!(
        (record.decision, record.anomalous),
        (Decision::Review, false)
    );
    assert_eq!(record.review_threshold, Some(score));
    assert_eq!((record.width, record.height), (90, 61));
}

#[test]
fn large_photos_go_in_windows() {
    let tiling = Tiling::new(40, 0.25, 0.0).unwrap();
    let tiled = inspector(&InspectorOptions {
        tiling: Some(tiling),
        ..InspectorOptions::default()
    });
    let whole = inspector(&InspectorOptions::default());
    let [in_windows, at_once] =
        [&tiled, &whole].map(|inspector| inspector.inspect_photo(photo(3)).unwrap());
    assert!(!same(&in_windows, &at_once));
    assert_eq!(in_windows.model_map().len(), at_once.model_map().len());
    let folder = tempfile::tempdir().unwrap();
    let path = stored(folder.path(), "a.png", 3);
    let from_file = tiled.inspect_file(&path).unwrap();
    assert!(same(&from_file, &in_windows));

    // A run that is stopped amid a photo gives nothing of it.
    let stop = Stop::default();
    let stopped = stop.clone();
    let found = Found::Photo(PhotoPath {
        relative: PathBuf::from("a.png"),
        path,
        page: None,
    });
    let mut run = tiled
        .inspect_all(
            std::iter::once(found),
            Decoding::new(DecodeOptions::default(), |_| {}),
            &stop,
            move |_, _| stopped.request(),
        )
        .unwrap();
    assert!(run.next().is_none());
    run.finish().unwrap();
}

#[test]
fn faults_say_who_has_to_act() {
    let small = inspector(&InspectorOptions {
        decode: DecodeOptions {
            max_pixels: 100,
            ..DecodeOptions::default()
        },
        ..InspectorOptions::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let path = stored(folder.path(), "a.png", 4);
    let fault = |outcome: Result<Inspection, Error>| outcome.unwrap_err().fault();
    assert_eq!(fault(small.inspect_file(&path)), Fault::Limits);
    assert_eq!(fault(small.inspect_bytes(b"nothing", "it")), Fault::Input);

    let cache = folder.path().to_owned();
    let open = |name: ModelName| ModelOptions::from(name).open().unwrap_err();
    let name = |name: &str| ModelName::Cached {
        cache: cache.clone(),
        name: name.to_owned(),
    };
    assert!(matches!(open(name("visa")), ModelError::NotPulled { .. }));
    let unknown = Error::from(open(name("nobody")));
    assert_eq!(unknown.fault(), Fault::Model);
    assert!(unknown.to_string().contains("visa and mvtec"), "{unknown}");
    let no_bundle = Error::from(open(ModelName::Bundle(path)));
    assert_eq!(no_bundle.fault(), Fault::Model);
    if let Err(error) = Device::find(DeviceName::Gpu(Some(999))) {
        assert_eq!(Error::from(error).fault(), Fault::Device);
    }
}

#[test]
fn calibrations_are_fitted_and_apply_only_to_photos_that_are_processed_alike() {
    let folder = tempfile::tempdir().unwrap();
    let inspector = inspector(&InspectorOptions::default());
    let mut found = Measurements::new(FitOptions::default(), false).unwrap();
    assert!(found.fit().is_err(), "of no photos");
    for seed in 0..12 {
        let path = stored(folder.path(), &format!("{seed}.png"), seed);
        let inspection = inspector.inspect_file(&path).unwrap();
        found
            .add(&identity(&path), &inspection, &Label::Normal)
            .unwrap();
        if seed == 0 {
            found
                .add(&identity(&path), &inspection, &Label::Normal)
                .unwrap();
        }
    }
    assert_eq!((found.normal(), found.copies(), found.seen()), (12, 1, 13));
    let thresholds = found.fit().unwrap();
    let (reported, _) = found.reached(thresholds.score.value);
    assert_eq!(reported, 0, "{thresholds:?}");
    assert!(thresholds.sentences(&found)[0].contains("12 good photos"));

    let viewing = Viewing::of(&DecodeOptions::default(), None);
    let date = "2026-01-02".to_owned();
    let calibration = found.calibration(&thresholds, "twelve", &viewing, None, date);
    let mut model = self::model();
    model
        .weights_mut()
        .set_calibration(Some(calibration.clone()))
        .unwrap();
    let options = InspectorOptions {
        predictor: two_threads(),
        ..InspectorOptions::default()
    };
    let calibrated = Inspector::new(&model, &Device::cpu(), &options).unwrap();
    assert_eq!(calibrated.set_aside(), None);
    let score = calibrated.thresholds().score;
    assert_eq!(score.to_bits(), thresholds.score.value.to_bits());

    let tiled = InspectorOptions {
        tiling: Tiling::new(40, 0.0, 0.0).ok(),
        ..options.clone()
    };
    let other = Inspector::new(&model, &Device::cpu(), &tiled).unwrap();
    assert_eq!(other.set_aside(), Some(Mismatch::Windows(None)));
    assert_eq!(other.thresholds(), DecisionThresholds::UNCALIBRATED);
    assert!(other.calibration().is_none());
    // The model serves both.
    let again = Inspector::new(&model, &Device::cpu(), &options).unwrap();
    assert_eq!(again.thresholds(), calibrated.thresholds());

    // What is written into a file can be given again, and is refused for other photos.
    let document = CalibrationDocument::new(calibration, &thresholds, &found, model.weights());
    let given = InspectorOptions {
        calibration: Some(CalibrationSource::Document(Box::new(document))),
        ..options.clone()
    };
    let plain = self::model();
    let from_document = Inspector::new(&plain, &Device::cpu(), &given).unwrap();
    assert_eq!(from_document.thresholds(), calibrated.thresholds());
    let both = InspectorOptions {
        tiling: tiled.tiling,
        ..given
    };
    let error = Inspector::new(&plain, &Device::cpu(), &both).unwrap_err();
    assert_eq!(error.fault(), Fault::Model, "{error}");
}

#[test]
fn bits_are_those_of_the_calibration() {
    let mut model = model();
    let weights = model.weights_mut();
    let calibration = vcp_clip::calibration::Calibration {
        bits: Some(12),
        ..some_calibration()
    };
    weights.set_calibration(Some(calibration)).unwrap();
    let options = InspectorOptions::default();
    let inspector = Inspector::new(&model, &Device::cpu(), &options).unwrap();
    let bits = inspector.decode_options().bits;
    assert_eq!(bits, Bits::Settled(SampleDepth::Twelve));
}

#[test]
fn thresholds_have_to_be_numbers() {
    for thresholds in [
        ThresholdOptions {
            score: Some(f32::NAN),
            ..ThresholdOptions::default()
        },
        ThresholdOptions {
            review: Some(0.6),
            ..ThresholdOptions::default()
        },
        ThresholdOptions {
            range: Some((0.5, 0.5)),
            ..ThresholdOptions::default()
        },
        ThresholdOptions {
            range: Some((0.0, f32::NAN)),
            ..ThresholdOptions::default()
        },
    ] {
        let options = InspectorOptions {
            thresholds,
            ..InspectorOptions::default()
        };
        let error = Inspector::new(&model(), &Device::cpu(), &options).unwrap_err();
        assert_eq!(error.fault(), Fault::Input, "{error}");
    }
}

#[test]
fn masks_decide_where_they_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let inspector = inspector(&InspectorOptions::default());
    let options = FitOptions {
        aim: Aim::Recall(1.0),
        ..FitOptions::default()
    };
    let mut found = Measurements::new(options, true).unwrap();
    for seed in 0..12 {
        let path = stored(folder.path(), &format!("{seed}.png"), seed);
        let inspection = inspector.inspect_file(&path).unwrap();
        let mask = Photo::from_grey(90, 61, vec![255; 90 * 61]).unwrap();
        let label = if seed < 10 {
            Label::Normal
        } else {
            Label::Anomalous { mask: Some(mask) }
        };
        found.add(&identity(&path), &inspection, &label).unwrap();
    }
    let thresholds = found.fit().unwrap();
    let (_, anomalous) = found.reached(thresholds.score.value);
    assert_eq!((anomalous, found.masked()), (2, 2));
}

#[test]
fn changed_settings_set_the_calibration_of_a_bundle_aside() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("mini.safetensors");
    let mut weights = mini().weights();
    let calibration = some_calibration();
    weights.set_calibration(Some(calibration)).unwrap();
    weights
        .write_bundle(&bundle, vcp_checkpoint::Storing::AsStored)
        .unwrap();
    let mut options = ModelOptions::from(ModelName::Bundle(bundle));
    let plain = options.open().unwrap();
    assert!(plain.set_aside().is_none() && plain.weights().calibration().is_some());
    options.changes = SettingChanges {
        normal_templates: vec!["a <|class|>".to_owned()],
        ..SettingChanges::default()
    };
    let changed = options.open().unwrap();
    assert_eq!(changed.set_aside(), Some(Mismatch::Templates));
    assert!(changed.weights().calibration().is_none());
}

#[test]
fn results_are_written_and_nobody_elses_files_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = stored(folder.path(), "a.png", 5);
    let inspector = inspector(&InspectorOptions::default());
    let inspection = inspector.inspect_file(&path).unwrap();
    let results = ResultFolder {
        folder: folder.path().to_owned(),
        kinds: vec![ResultKind::Mask, ResultKind::Npy, ResultKind::Json],
    };
    let mut names = ResultNames::default();
    let base = results.claim(&mut names, Path::new("a.png"));
    let files = results.save(&path, &base, &inspection).unwrap();
    assert!(files.overlay.is_none() && files.json.is_some());
    for written in [&files.mask, &files.map, &files.branch1, &files.branch2] {
        assert!(
            Path::new(written.as_deref().unwrap()).is_file(),
            "{files:?}"
        );
    }
    // Once more: what was written before is ours.
    results.save(&path, &base, &inspection).unwrap();
    std::fs::write(folder.path().join("a.mask.png"), "a person's own").unwrap();
    let error = results.save(&path, &base, &inspection).unwrap_err();
    assert_eq!(error.fault(), Fault::Output, "{error}");
    assert!(error.to_string().contains("a.mask.png"), "{error}");
}
