//! A whole evaluation of a tiny data set by a tiny model: interrupted, resumed, and its files read back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use vcp_dataset::{Collection, Options, Split, layout_or_error};
use vcp_evaluate::output::{ImageFile, table};
use vcp_evaluate::{
    CategoryReport, Circumstance, Error, Evaluation, Look, ModelDescription, Plan, Protocol,
    Results, load, look,
};
use vcp_image::{DecodeOptions, decode_file};
use vcp_predict::Predictor;

const WIDTH: usize = 40;
const HEIGHT: usize = 30;
const PROGRAM: &str = "a test";
const DAY: &str = "2026-01-31";

/// A data set in MVTec-AD's layout: two categories of two normal and two anomalous images each.
struct Place {
    folder: TempDir,
    model: ModelDescription,
    predictor: Arc<Predictor>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (number, category) in ["bolt", "nut"].into_iter().enumerate() {
            let root = folder.path().join("set").join(category);
            photo(&root.join("train/good/000.png"), 0);
            for image in 0..2 {
                let seed = 10 * number + image;
                photo(&root.join(format!("test/good/00{image}.png")), 1 + seed);
                photo(&root.join(format!("test/bent/00{image}.png")), 5 + seed);
                mask(
                    &root.join(format!("ground_truth/bent/00{image}_mask.png")),
                    image,
                );
            }
        }
        let weights = vcp_testing::mini().weights();
        let options = protocol().predictor_options(None);
        Self {
            folder,
            model: ModelDescription::of(&weights),
            predictor: Arc::new(Predictor::new(&weights, &options).unwrap()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn plan(&self) -> Plan {
        let collection = Collection {
            places: vec![(layout_or_error("mvtec").unwrap(), self.path("set"))],
            options: Options::default(),
            categories: Vec::new(),
            split_by_object: false,
        };
        Plan::new(collection.read().unwrap(), Some(Split::Test), None).unwrap()
    }

    /// An evaluation into this folder, as a process that has just begun has it.
    fn evaluation(&self, folder: &str, image_files: &[ImageFile]) -> Evaluation {
        Evaluation {
            plan: self.plan(),
            model: self.model.clone(),
            predictor: Arc::clone(&self.predictor),
            protocol: protocol(),
            device: "cpu".to_owned(),
            folder: self.path(folder),
            image_files: image_files.to_vec(),
        }
    }
}

/// The few pixels here cannot tell the rates of AUPIMO's usual bounds.
fn protocol() -> Protocol {
    Protocol {
        aupimo_bounds: [1e-3, 1e-1],
        ..Protocol::default()
    }
}

/// A photo in PPM, which is told by its content, not by its name.
fn photo(path: &Path, seed: usize) {
    let mut file = format!("P6\n{WIDTH} {HEIGHT}\n255\n").into_bytes();
    for at in 0..WIDTH * HEIGHT {
        let (x, y) = (at % WIDTH, at / WIDTH);
        let value = |scale: usize| ((x * scale + y * (seed + 3)) % 256) as u8;
        file.extend([value(1), value(2 + seed), value(5)]);
    }
    put(path, file);
}

/// A mask in PGM with a rectangle.
fn mask(path: &Path, seed: usize) {
    let mut file = format!("P5\n{WIDTH} {HEIGHT}\n255\n").into_bytes();
    let is_inside = |at: usize| {
        (4..18 + 3 * seed).contains(&(at % WIDTH)) && (6..20 - 2 * seed).contains(&(at / WIDTH))
    };
    file.extend((0..WIDTH * HEIGHT).map(|at| if is_inside(at) { 255 } else { 0 }));
    put(path, file);
}

fn put(path: &Path, content: Vec<u8>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// What comes of each image of a category.
fn outcomes(evaluation: &Evaluation, category: usize) -> Vec<Result<Look, String>> {
    let samples = evaluation.plan.categories[category].samples.iter();
    let looked = samples.map(|sample| {
        let loaded = load(sample, &evaluation.predictor, &evaluation.protocol)?;
        let watch = &mut |_, _| ControlFlow::Continue(());
        look(loaded, &evaluation.predictor, &evaluation.protocol, watch)
    });
    let outcomes = looked.map(|look: Result<Look, Error>| look.map_err(|error| error.to_string()));
    outcomes.collect()
}

/// Evaluates what an earlier evaluation into the folder has not finished.
fn run(evaluation: &Evaluation) -> Results {
    let mut reports = evaluation.earlier().reports;
    for (number, report) in reports.iter_mut().enumerate() {
        if report.is_none() {
            let concluded = evaluation.conclude(number, outcomes(evaluation, number));
            *report = Some(concluded.unwrap().report);
        }
    }
    let reports: Vec<CategoryReport> = reports.into_iter().map(Option::unwrap).collect();
    evaluation.finish(&reports, PROGRAM, DAY).unwrap()
}

const RESULT_FILES: [&str; 5] = [
    "results.json",
    "results.csv",
    "results.md",
    "images.csv",
    "report.html",
];

fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let head = reader.headers().unwrap().clone();
    let rows = std::iter::once(head).chain(reader.records().map(Result::unwrap));
    rows.map(|row| row.iter().map(str::to_owned).collect())
        .collect()
}

#[test]
fn result_files_say_what_was_found() {
    let place = Place::new();
    let results = run(&place.evaluation("out", &[]));
    let out = place.path("out");
    assert_eq!(Results::read(&out.join("results.json")).unwrap(), results);
    assert_eq!(results.mean.images, 8);
    assert_eq!(results.mean.categories, 2);
    for category in &results.categories {
        let figures = &category.row.figures;
        for figure in [figures.pixel_auroc, figures.aupro_200, figures.image_auroc] {
            assert!((0.0..=1.0).contains(&figure.unwrap()), "{figures:?}");
        }
        assert_eq!(category.row.anomalous_images, 2);
    }

    let table = rows(&out.join("results.csv"));
    let column = table[0].iter().position(|key| key == "pixel_auroc");
    for (row, category) in table[1..3].iter().zip(&results.categories) {
        assert_eq!(row[..4], ["mvtec", &category.row.name, "", "4"]);
        let written: f64 = row[column.unwrap()].parse().unwrap();
        assert_eq!(Some(written), category.row.figures.pixel_auroc);
    }
    assert_eq!(table[3][1], "mean");
    assert_eq!(table.len(), 4);

    let images = rows(&out.join("images.csv"));
    assert_eq!(images.len(), 1 + 8);
    let anomalous = images.iter().filter(|row| row[3] == "anomalous");
    assert_eq!(anomalous.count(), 4);

    let markdown = fs::read_to_string(out.join("results.md")).unwrap();
    for row in table::rows(&results) {
        assert!(
            markdown.contains(&format!("| {} |", row.join(" | "))),
            "{markdown}"
        );
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for text in ["bolt", "nut", DAY, &place.model.digest] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn an_interrupted_evaluation_resumes_with_the_next_category() {
    let place = Place::new();
    let whole = run(&place.evaluation("whole", &[]));

    let first = place.evaluation("resumed", &[]);
    first.conclude(0, outcomes(&first, 0)).unwrap();
    let second = place.evaluation("resumed", &[]);
    let earlier = second.earlier();
    let finished: Vec<bool> = earlier.reports.iter().map(Option::is_some).collect();
    assert_eq!(finished, [true, false]);
    assert!(earlier.others.is_empty());
    assert_eq!(run(&second), whole);
    for file in RESULT_FILES {
        let [one, other] = ["whole", "resumed"].map(|folder| place.path(folder).join(file));
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{file}");
    }

    // A record is used only by an evaluation that would give the same.
    let circumstances = |evaluation: &Evaluation| {
        let earlier = evaluation.earlier();
        assert_eq!(earlier.reports, [None, None]);
        earlier.others
    };
    let mut other = place.evaluation("resumed", &[]);
    other.protocol.aupro_steps = 50;
    other.device = "another".to_owned();
    let different = vec![Circumstance::Protocol, Circumstance::Device];
    assert_eq!(
        circumstances(&other),
        ["mvtec/bolt", "mvtec/nut"].map(|name| (name.to_owned(), different.clone()))
    );
    assert_eq!(
        other.earlier().sentence().unwrap(),
        "The output folder holds mvtec/bolt and 1 more from an evaluation with another protocol and \
         another device; evaluating again."
    );
    // Without the files that are wanted of each image it is none at all.
    let strips = place.evaluation("resumed", &[ImageFile::Strips]);
    assert!(circumstances(&strips).is_empty());
    photo(&place.path("set/nut/test/good/002.png"), 3);
    let earlier = place.evaluation("resumed", &[]).earlier();
    assert!(earlier.reports[0].is_some() && earlier.reports[1].is_none());
    assert_eq!(
        earlier.others,
        [("mvtec/nut".to_owned(), vec![Circumstance::Images])]
    );
    fs::write(place.path("resumed/categories/mvtec-bolt.json"), "{").unwrap();
    assert!(place.evaluation("resumed", &[]).earlier().reports[0].is_none());
}

#[test]
fn each_image_has_its_files() {
    let place = Place::new();
    let evaluation = place.evaluation("out", &[ImageFile::Strips, ImageFile::Npy]);
    let sides = evaluation.predictor.image_size() as u64;
    evaluation.conclude(0, outcomes(&evaluation, 0)).unwrap();
    let category = &evaluation.plan.categories[0];
    assert_eq!(category.places.len(), 4);
    for place in &category.places {
        let strip = evaluation.folder.join("strips").join(place);
        let strip = decode_file(
            &strip.with_added_extension("png"),
            &DecodeOptions::default(),
        );
        let strip = strip.unwrap();
        assert_eq!((strip.width(), strip.height()), (1054, 256));
        for kind in ["map.npy", "branch1.npy", "branch2.npy"] {
            let path = evaluation.folder.join("maps").join(place);
            let bytes = fs::read(path.with_added_extension(kind)).unwrap();
            let array = npyz::NpyFile::new(&bytes[..]).unwrap();
            assert_eq!(array.shape(), [sides, sides]);
        }
    }
}

#[test]
fn what_cannot_be_used_is_in_no_figure() {
    let place = Place::new();
    fs::write(place.path("set/bolt/test/good/001.png"), "no picture").unwrap();
    fs::remove_file(place.path("set/nut/ground_truth/bent/001_mask.png")).unwrap();
    let evaluation = place.evaluation("out", &[]);
    assert!(evaluation.plan.is_incomplete);
    let results = run(&evaluation);
    let [bolt, nut] = &results.categories[..] else {
        panic!("{:?}", results.categories);
    };
    assert_eq!(bolt.row.images, 3);
    assert_eq!(bolt.failures.len(), 1);
    assert!(bolt.failures[0].path.ends_with("001.png"));
    assert_eq!((nut.row.images, nut.images_without_mask), (4, 1));
    let remarks = table::remarks(&results);
    for remark in [
        "bolt: 1 images could not be used and are in no figure.",
        "nut: 1 anomalous images have no mask and count for image figures only.",
    ] {
        assert!(remarks.iter().any(|it| it == remark), "{remarks:?}");
    }
    // The failure is part of the record, which is used as that of any other category.
    assert!(
        place
            .evaluation("out", &[])
            .earlier()
            .reports
            .iter()
            .all(Option::is_some)
    );

    let few = evaluation.conclude(0, Vec::new()).unwrap_err();
    assert!(
        matches!(
            few,
            Error::Outcomes {
                found: 0,
                expected: 4,
                ..
            }
        ),
        "{few}"
    );
    let none = Plan::new(Vec::new(), Some(Split::Train), None).unwrap_err();
    assert_eq!(
        none.to_string(),
        "There is no image to evaluate: the data hold none of the split 'train'."
    );
}
