//! What is taken for a photo when folders and patterns are searched, and what is said of the rest.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;

use support::cli::Workplace;

const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic rest of it";

/// The photo's bytes as a JPEG.
fn jpeg() -> Vec<u8> {
    let pixels = (0..40 * 30).map(|at| (at % 251) as u8).collect();
    let photo = vcp_image::Photo::from_grey(40, 30, pixels).unwrap();
    vcp_image::Picture::from(photo).to_jpeg_bytes(90).unwrap()
}

#[test]
fn other_pictures_in_a_folder_are_counted_in_one_note() {
    let workplace = Workplace::new();
    workplace.write("p/a.jpg", jpeg());
    workplace.write("p/b.jfif", jpeg());
    workplace.write("p/inner/c.JPG", jpeg());
    workplace.write("p/d.HEIC", HEIC);
    workplace.write("p/inner/e.heic", HEIC);
    workplace.write("p/f.dat", HEIC);
    workplace.write("p/g.jxl", "only its name says so");
    workplace.write("p/h", jpeg());
    workplace.write("p/notes.txt", "no picture");
    let outcome = workplace.segment(&["p"]).ends_with(0);
    assert_eq!(outcome.paths(), ["p/a.jpg", "p/b.jfif", "p/inner/c.JPG"]);
    let outcome = outcome
        .says("4 pictures were skipped, of kinds that are not read: 3 HEIC (such as p/d.HEIC), 1 JPEG XL (p/g.jxl)")
        .says("1 picture was skipped for want of a usual ending: 1 JPEG (p/h)");
    assert_eq!(outcome.stderr.matches("skipped").count(), 2);
    assert!(!outcome.stderr.contains("notes"), "{}", outcome.stderr);

    let quiet = workplace.segment(&["p", "--quiet"]).ends_with(0);
    assert!(!quiet.stderr.contains("skipped"), "{}", quiet.stderr);
}

#[test]
fn a_file_that_is_named_or_matches_is_read_by_its_content() {
    let workplace = Workplace::new();
    for name in ["p/none", "p/wrong.txt", "p/a.jfif", "p/really.png"] {
        workplace.write(name, jpeg());
    }
    workplace.write("p/notes.txt", "no picture");
    let outcome = workplace.segment(&["p/*"]).ends_with(0);
    assert_eq!(
        outcome.paths(),
        ["p/a.jfif", "p/none", "p/really.png", "p/wrong.txt"]
    );
    let outcome = workplace.segment(&["p/none", "p/wrong.txt"]).ends_with(0);
    assert_eq!(outcome.paths(), ["p/none", "p/wrong.txt"]);
}

#[test]
fn a_folder_of_nothing_but_other_pictures_says_what_they_are() {
    let workplace = Workplace::new();
    workplace.write("p/a.heic", HEIC);
    workplace
        .segment(&["p"])
        .ends_with(2)
        .says("The folder p holds no photo")
        .says("1 HEIC (p/a.heic)")
        .says("convert");
    workplace
        .segment(&["p/*.heic"])
        .ends_with(2)
        .says("The pattern p/*.heic matches no photo that can be read")
        .says("1 HEIC (p/a.heic)");
    let named = workplace.segment(&["p/a.heic"]).ends_with(1);
    assert!(named.stdout.contains("HEIC"), "{named:?}");
}

#[test]
fn a_persons_own_mask_is_a_photo_and_is_not_replaced() {
    let workplace = Workplace::with_photos(&["p/u.png", "p/u.mask.png", "q/v.png"]);
    workplace.write("p/u.json", "{\"version\": \"5.0\", \"shapes\": []}");

    let outcome = workplace.segment(&["p", "--out", "out"]).ends_with(0);
    assert_eq!(outcome.paths(), ["p/u.mask.png", "p/u.png"]);

    for (save, name) in [("mask", "u.mask.png"), ("json", "u.json")] {
        let before = fs::read(workplace.path("p").join(name)).unwrap();
        for out in ["p", "p/../p"] {
            let outcome = workplace
                .segment(&["p/u.png", "--out", out, "--save", save])
                .ends_with(1);
            assert!(outcome.stdout.contains(name), "{outcome:?}");
            assert!(outcome.stdout.contains("is not replaced"), "{outcome:?}");
            assert!(fs::read(workplace.path("p").join(name)).unwrap() == before);
        }
    }
    // What an earlier run wrote there is replaced, and is no photo.
    let save = "overlay,heatmap,mask,npy,json";
    for _ in 0..2 {
        let outcome = workplace
            .segment(&["q", "--out", "q", "--save", save])
            .ends_with(0);
        assert_eq!(outcome.paths(), ["q/v.png"]);
    }
    let outcome = workplace.segment(&["q"]).ends_with(0);
    assert_eq!(outcome.paths(), ["q/v.png"]);
    outcome.says("3 pictures that vcp-clip wrote were skipped");
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_that_link_to_each_other_end() {
        let workplace = Workplace::new();
        let folders: Vec<String> = (0..12).map(|number| format!("p/f{number:02}")).collect();
        for (seed, folder) in folders.iter().enumerate() {
            workplace.photo(&format!("{folder}/a.png"), seed);
        }
        for from in &folders {
            for to in folders.iter().filter(|to| *to != from) {
                let name = to.replace('/', "-");
                symlink(
                    workplace.path(to),
                    workplace.path(from).join(format!("{name}.link")),
                )
                .unwrap();
            }
        }
        let expected: Vec<String> = folders.iter().map(|it| format!("{it}/a.png")).collect();
        assert_eq!(workplace.segment(&["p"]).ends_with(0).paths(), expected);
        // Also when they are named one by one.
        let named: Vec<&str> = folders.iter().map(String::as_str).collect();
        assert_eq!(workplace.segment(&named).ends_with(0).paths(), expected);
        // And when only one is: the others are reached through its links, each once.
        let one = workplace.segment(&["p/f00"]).ends_with(0);
        assert_eq!(one.lines().len(), 12);
    }

    #[test]
    fn a_link_to_a_folder_elsewhere_or_to_a_hidden_one_is_followed() {
        let workplace = Workplace::with_photos(&["p/a.png", "elsewhere/b.png", "p/.store/c.png"]);
        symlink(workplace.path("elsewhere"), workplace.path("p/one")).unwrap();
        symlink(workplace.path("elsewhere"), workplace.path("p/two")).unwrap();
        symlink(workplace.path("p/.store"), workplace.path("p/three")).unwrap();
        let outcome = workplace.segment(&["p"]).ends_with(0);
        assert_eq!(outcome.paths(), ["p/a.png", "p/one/b.png", "p/three/c.png"]);
    }

    #[test]
    fn pictures_in_an_output_folder_behind_a_link_are_known() {
        let workplace = Workplace::with_photos(&["p/a.png"]);
        fs::create_dir(workplace.path("store")).unwrap();
        symlink(workplace.path("store"), workplace.path("p/out")).unwrap();
        for _ in 0..2 {
            let outcome = workplace.segment(&["p", "--out", "p/out"]).ends_with(0);
            assert_eq!(outcome.paths(), ["p/a.png"]);
        }
        let outcome = workplace.segment(&["p", "--out", "store"]).ends_with(0);
        assert_eq!(outcome.paths(), ["p/a.png"]);
    }
}
