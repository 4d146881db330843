//! What wins over what. What is said about mistakes is tested on the program (`tests/config.rs`).

use std::io::Write;

use super::*;
use crate::args::{Command as Chosen, SegmentArgs};

fn segment(
    line: &[&str],
    variables: &[(&str, &str)],
    file: Option<&str>,
) -> Result<SegmentArgs, String> {
    let mut arguments: Vec<OsString> = ["vcp-clip", "segment", "photo.png"]
        .iter()
        .map(OsString::from)
        .collect();
    arguments.extend(line.iter().map(OsString::from));
    let mut holder = tempfile::NamedTempFile::new().unwrap();
    if let Some(text) = file {
        holder.write_all(text.as_bytes()).unwrap();
        arguments.push("--config".into());
        arguments.push(holder.path().into());
    }
    let variables: Vec<_> = variables
        .iter()
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    match parse(arguments, &variables) {
        Ok(Parsed {
            arguments: Arguments {
                command: Chosen::Segment(segment),
            },
            ..
        }) => Ok(*segment),
        Ok(other) => panic!("not segment: {other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn the_upper_layer_wins() {
    let file = "threads = 1\nimage-size = 70\nquiet = true\n[segment]\nthreads = 2\n";
    let threads = |line: &[&str], variables: &[(&str, &str)], file| {
        segment(line, variables, file)
            .unwrap()
            .run
            .threads
            .map(std::num::NonZero::get)
    };
    let variable = ("VCP_CLIP_THREADS", "3");
    assert_eq!(threads(&[], &[], None), None);
    assert_eq!(
        threads(&[], &[], Some(file)),
        Some(2),
        "the subcommand's table"
    );
    assert_eq!(threads(&[], &[variable], Some(file)), Some(3));
    assert_eq!(
        threads(&["--threads", "4"], &[variable], Some(file)),
        Some(4)
    );
    assert_eq!(
        threads(&[], &[("VCP_CLIP_THREADS", "")], Some(file)),
        Some(2)
    );
    let parsed = segment(&["--quiet=false"], &[], Some(file)).unwrap();
    assert_eq!(
        (parsed.run.quiet, parsed.choice.image_size),
        (false, Some(70))
    );
}

#[test]
fn lists_come_from_every_layer_and_do_not_mix() {
    let file = "taps = [1, 2]\nsave = \"mask,npy\"\ntemplate-normal = [\"a, b\", \"c\"]\n";
    let parsed = segment(&[], &[], Some(file)).unwrap();
    assert_eq!(parsed.choice.taps, [1, 2]);
    assert_eq!(parsed.save.len(), 2);
    assert_eq!(parsed.choice.template_normal, ["a, b", "c"]);
    let variables = [
        ("VCP_CLIP_TAPS", "3,4"),
        ("VCP_CLIP_TEMPLATE_NORMAL", "x, y\nz\n"),
    ];
    let parsed = segment(&[], &variables, Some(file)).unwrap();
    assert_eq!(parsed.choice.taps, [3, 4]);
    assert_eq!(parsed.choice.template_normal, ["x, y", "z"]);
    let parsed = segment(&["--taps", "5"], &variables, Some(file)).unwrap();
    assert_eq!(parsed.choice.taps, [5]);
}

#[test]
fn an_upper_layer_drops_what_it_excludes() {
    let file = "[segment]\nclip = \"a\"\ncheckpoint = \"b\"\n";
    let parsed = segment(&["--model", "visa"], &[], Some(file)).unwrap();
    assert_eq!(parsed.choice.clip, None);
    let parsed = segment(
        &["--checkpoint", "c"],
        &[("VCP_CLIP_MODEL", "visa")],
        Some(file),
    );
    let parsed = parsed.unwrap();
    assert_eq!(parsed.choice.model, None);
    assert_eq!(parsed.choice.clip, Some("a".into()));
    assert_eq!(parsed.choice.checkpoint, Some("c".into()));
}

#[test]
fn an_option_and_a_command_may_have_the_same_name() {
    let file = "[segment]\nmodel = \"visa\"\n[model.pull]\noffline = true\n";
    let parsed = segment(&[], &[], Some(file)).unwrap();
    assert_eq!(parsed.choice.model, Some("visa".into()));
}
