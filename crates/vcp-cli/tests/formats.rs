//! Kinds of files: what is read, what is read with a word about it, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "says which tests are skipped")]

mod support;

use std::fs;
use std::path::PathBuf;

use support::cli::Workplace;

/// A file that the tests of the crate for images decode.
fn picture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../vcp-image/tests/fixtures/decoded")
        .join(name)
}

#[test]
fn what_should_be_known_of_a_photo_stands_in_its_record() {
    const WORDS: &str = "It is an animated WebP, of which only the first picture is looked at.";
    let workplace = Workplace::with_photos(&["plain.png"]);
    workplace.write("moving.webp", fs::read(picture("animated.webp")).unwrap());
    for tiling in [&[][..], &["--tile", "28"]] {
        let photos = ["moving.webp", "plain.png"];
        let outcome = workplace.segment(&[&photos[..], tiling].concat());
        let lines = outcome.ends_with(0).lines();
        assert_eq!(lines[0]["warnings"], serde_json::json!([WORDS]));
        assert_eq!(
            lines[0].as_object().unwrap().keys().last().unwrap(),
            "warnings"
        );
        assert!(lines[1].get("warnings").is_none(), "{}", lines[1]);
    }

    let table = ["moving.webp", "--format", "table"];
    let outcome = workplace.segment(&table).ends_with(0);
    let outcome = outcome.says(&format!("note: moving.webp: {WORDS}"));
    assert!(!outcome.stdout.contains("animated"), "{outcome:?}");
    let outcome = workplace.segment(&[&table[..], &["--quiet"]].concat());
    assert!(!outcome.stderr.contains("animated"), "{outcome:?}");
}
