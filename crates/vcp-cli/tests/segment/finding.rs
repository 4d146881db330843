//! Which photos are meant by folders, patterns, lists and names.

use crate::support::cli::Workplace;
use crate::support::photos;

#[test]
fn a_folder_is_searched_in_order() {
    let workplace = Workplace::with_photos(&[
        "photos/b.PNG",
        "photos/a.jpeg",
        "photos/c/a.tif",
        "photos/.hidden.png",
        "photos/.hidden/a.png",
    ]);
    workplace.write("photos/notes.txt", "no photo");
    let outcome = workplace.segment(&["photos"]).ends_with(0);
    assert_eq!(
        outcome.paths(),
        ["photos/a.jpeg", "photos/b.PNG", "photos/c/a.tif"]
    );
    let outcome = workplace
        .segment(&["photos", "--recursive=false"])
        .ends_with(0);
    assert_eq!(outcome.paths(), ["photos/a.jpeg", "photos/b.PNG"]);
}

#[test]
fn what_is_named_is_tried_whatever_its_name() {
    let workplace = Workplace::with_photos(&["photo.of.part", ".hidden", "odd[1].png"]);
    let outcome = workplace
        .segment(&["photo.of.part", ".hidden", "odd[1].png"])
        .ends_with(0);
    assert_eq!(outcome.lines().len(), 3);
}

#[test]
fn patterns_match_photos() {
    let workplace = Workplace::with_photos(&["p/a1.png", "p/a2.png", "p/b1.png", "p/q/a3.png"]);
    workplace.write("p/a4.txt", "no photo");
    let outcome = workplace.segment(&["p/a*"]).ends_with(0);
    assert_eq!(outcome.paths(), ["p/a1.png", "p/a2.png"]);
    let outcome = workplace.segment(&["p/**/a?.png"]).ends_with(0);
    assert_eq!(outcome.paths(), ["p/a1.png", "p/a2.png", "p/q/a3.png"]);
}

#[test]
fn inputs_without_a_photo_are_wrong_usage() {
    let workplace = Workplace::with_photos(&["p/a.png"]);
    workplace.write("empty/notes.txt", "no photo");
    workplace
        .segment(&["empty"])
        .ends_with(2)
        .says("The folder empty holds no photo");
    workplace
        .segment(&["p/*.tif"])
        .ends_with(2)
        .says("The pattern p/*.tif matches nothing");
    workplace
        .segment(&["empty/*"])
        .ends_with(2)
        .says("The pattern empty/* matches no photo");
    workplace
        .segment(&["p/[.png"])
        .ends_with(2)
        .says("neither a file nor a pattern");
    workplace
        .segment(&["-", "-"])
        .ends_with(2)
        .says("only once");
    workplace
        .segment(&["-"])
        .ends_with(2)
        .says("Standard input held no path");
    workplace.segment(&[]).ends_with(2).says("<INPUT>");
}

#[test]
fn paths_come_on_standard_input() {
    let workplace = Workplace::with_photos(&["a.png", "sub dir/b.png", "c.png", "z/b.png"]);
    let outcome = workplace
        .segment_with_input(
            &["c.png", "-", "--out", "out"],
            "a.png\n\nsub dir/b.png\r\nz/b.png",
        )
        .ends_with(0);
    assert_eq!(
        outcome.paths(),
        ["c.png", "a.png", "sub dir/b.png", "z/b.png"]
    );
    assert_eq!(
        workplace.files("out"),
        [
            "a.overlay.png",
            "c.overlay.png",
            "sub dir/b.overlay.png",
            "z/b.overlay.png"
        ]
    );
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end() {
    let workplace = Workplace::with_photos(&["p/a.png", "p/q/b.png"]);
    std::os::unix::fs::symlink("..", workplace.path("p/q/up")).unwrap();
    std::os::unix::fs::symlink("self", workplace.path("p/self")).unwrap();
    std::os::unix::fs::symlink("nowhere.txt", workplace.path("p/dangling.txt")).unwrap();
    std::os::unix::fs::symlink("../p/a.png", workplace.path("p/z.png")).unwrap();
    let outcome = workplace.segment(&["p"]).ends_with(0);
    assert_eq!(outcome.paths(), ["p/a.png", "p/q/b.png", "p/z.png"]);
}

/// Photos whose content was not fetched (git-annex, DVC), and a folder that is not mounted.
#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_files_that_are_missing() {
    let workplace = Workplace::with_photos(&["p/a.png"]);
    std::os::unix::fs::symlink("/annex/b", workplace.path("p/b.png")).unwrap();
    std::os::unix::fs::symlink("/mnt/share/line 3", workplace.path("p/line 3")).unwrap();
    for inputs in [&["p"][..], &["p/*.png"], &["p/b.png", "p/a.png"]] {
        let outcome = workplace.segment(inputs).ends_with(1);
        let error = outcome
            .lines()
            .into_iter()
            .find(|line| line["path"] == "p/b.png");
        assert!(error.unwrap()["error"].is_string(), "{outcome:#?}");
    }
    let outcome = workplace.segment(&["p"]).ends_with(1);
    assert_eq!(outcome.paths(), ["p/a.png", "p/b.png", "p/line 3"]);
    let message = outcome.lines()[1]["error"].as_str().unwrap().to_owned();
    assert!(
        message.contains("it is a link to /annex/b, which does not exist"),
        "{message}"
    );
    std::fs::remove_file(workplace.path("p/a.png")).unwrap();
    let outcome = workplace.segment(&["p/*.png"]).ends_with(1);
    assert_eq!(outcome.paths(), ["p/b.png"]);
}

#[test]
fn lists_made_on_windows_are_read() {
    let workplace = Workplace::with_photos(&["p/a.png", "p/b c.png"]);
    let list = "\u{feff}p/a.png\r\np\\b c.png\r\n";
    let outcome = workplace.segment_with_input(&["-"], list).ends_with(0);
    assert_eq!(outcome.paths(), ["p/a.png", "p/b c.png"]);
}

#[cfg(unix)]
#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let workplace = Workplace::new();
    let name = std::ffi::OsStr::from_bytes(b"a\xff.png");
    photos::write(&workplace.path("p").join(name), 40, 30, 0);
    let outcome = workplace.segment(&["p", "--out", "out"]).ends_with(0);
    assert_eq!(outcome.lines().len(), 1);
    assert!(
        workplace
            .path("out")
            .join(std::ffi::OsStr::from_bytes(b"a\xff.overlay.png"))
            .exists()
    );
}

#[cfg(unix)]
#[test]
fn a_file_of_a_folder_that_cannot_be_read_is_said_in_plain_words() {
    let workplace = Workplace::with_photos(&["in/a.png"]);
    std::os::unix::fs::symlink("loop.png", workplace.path("in/loop.png")).unwrap();
    let outcome = workplace.segment(&["in"]).ends_with(1);
    let line = &outcome.lines()[1];
    let message = line["error"].as_str().unwrap();
    assert!(
        message.starts_with("in/loop.png cannot be read: "),
        "{message}"
    );
    assert!(!message.contains("IO error"), "{message}");
}
