use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use vcp_dataset::{Label, Options, Split, check_deeply, layout};

use super::*;

const SET: SyntheticSet = SyntheticSet {
    count: 24,
    size: 40,
    seed: u64::MAX - 3,
    sheet: true,
};

/// Every file below a folder with its content.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let name = |path: &Path| {
        path.strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    entries
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| (name(entry.path()), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn what_is_written_is_a_data_set_without_problems() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/made");
    let count = AtomicUsize::new(0);
    let advance = || {
        count.fetch_add(1, Ordering::Relaxed);
        ControlFlow::Continue(())
    };
    let counts = SET.write(&out, &advance).unwrap();
    assert_eq!(count.into_inner(), SET.count);
    assert_eq!(counts.clean + counts.defective, SET.count);
    assert!(counts.clean > 3 && counts.defective > 3, "{counts:?}");
    let dataset = layout("mvtec")
        .unwrap()
        .read(&out, &Options::default())
        .unwrap();
    let options = Options::default().decode;
    let report = check_deeply(&dataset, &options, &|| ());
    assert_eq!(report.problems, []);
    assert_eq!(
        (report.normal, report.anomalous),
        (counts.clean, counts.defective)
    );
    assert_eq!(dataset.categories(), [CATEGORY]);
    // Each is the image of its seed.
    for found in &dataset.samples {
        assert_eq!(found.split, Split::Test);
        let index: u64 = found
            .image
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let made = sample(SET.seed.wrapping_add(index), SET.size);
        assert_eq!(found.label == Label::Normal, made.is_clean());
        assert_eq!(found.load_image(&options).unwrap(), made.image);
        let mask = found.load_mask(SET.size, SET.size, &options).unwrap();
        assert_eq!(mask.pixels(), made.mask);
    }
    let list = fs::read_to_string(out.join(LIST)).unwrap();
    assert_eq!(list.lines().count(), 1 + SET.count);
    assert!(list.contains(&format!(",{},", u64::MAX)), "{list}");
    let written = files(&out);
    assert!(written.contains_key("sheet.png"));
    // Nothing unfinished is left behind.
    assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn files_do_not_depend_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    let write = |threads: usize| {
        let out = folder.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| SET.write(&out, &|| ControlFlow::Continue(())))
            .unwrap();
        files(&out)
    };
    assert_eq!(write(1), write(3));
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("made");
    fs::write(&out, "mine").unwrap();
    let error = SET.write(&out, &|| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn two_at_once_do_not_make_the_same_set() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("made");
    let set = SyntheticSet { count: 2, ..SET };
    let again = || {
        let error = set.write(&out, &|| ControlFlow::Continue(())).unwrap_err();
        assert!(matches!(error, Error::Locked(_)), "{error}");
        ControlFlow::Continue(())
    };
    set.write(&out, &again).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_stopped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("made");
    let error = SET.write(&out, &|| ControlFlow::Break(())).unwrap_err();
    assert!(matches!(error, Error::Stopped), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn sheets_hold_every_tile() {
    for count in [1_usize, 2, 5, 24, 96] {
        let tile = |value: usize| Photo::from_rgb(2, 2, vec![100 + value as u8; 12]).unwrap();
        let tiles: Vec<Photo> = (0..count).map(tile).collect();
        let sheet = sheet::sheet(&tiles);
        for value in 0..count {
            let pixel = [100 + value as u8; 3];
            let (pixels, _) = sheet.pixels().as_chunks::<3>();
            let found = pixels.iter().filter(|it| **it == pixel).count();
            assert_eq!(found, 4, "tile {value} of {count}");
        }
    }
}

#[test]
fn tiles_show_defects_as_they_are() {
    let made = (0..100)
        .map(|seed| sample(seed, 96))
        .find(|made| !made.is_clean())
        .unwrap();
    let tile = sheet::tile(&made);
    let pixels = tile
        .pixels()
        .chunks(3)
        .zip(made.image.pixels().chunks(3))
        .zip(&made.mask);
    let mut changed = 0;
    for ((drawn, pixel), masked) in pixels {
        assert!(*masked == 0 || drawn == pixel);
        changed += usize::from(drawn != pixel);
    }
    assert!(changed > 0, "no line");
}
