//! What wins over what, and what is said about mistakes.

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
        }) => Ok(segment),
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
    assert_eq!((parsed.quiet, parsed.choice.image_size), (false, Some(70)));
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

#[test]
fn mistakes_are_named() {
    let cases = [
        (
            "treads = 2",
            "`treads`, which is no option. The nearest is `threads`",
        ),
        ("[segment]\nofline = true", "`segment.ofline`"),
        (
            "[segmen]\nthreads = 1",
            "`segmen`, which is no option. The nearest is `segment`",
        ),
        (
            "[model.pull]\nofflin = true",
            "`model.pull.offlin`, which is no option. The nearest is `offline`",
        ),
        ("config = \"other\"", "`config`"),
        (
            "threads = \"many\"",
            "invalid value 'many' for '--threads <N>'",
        ),
        ("threads = [1, 2]", "--threads"),
        (
            "threads = 1000000000000000000",
            "expected a whole number from 1 to 256",
        ),
        ("threads = -1", "expected a whole number from 1 to 256"),
        (
            "pixel-threshold = nan",
            "expected a number from -1000 to 1000",
        ),
        (
            "pixel-threshold = 1e308",
            "expected a number from -1000 to 1000",
        ),
        ("threads = 1979-05-27", "type datetime for `threads`"),
        ("save = [[\"npy\"]]", "type array for `save`"),
        ("threads = ", "is not valid TOML in line 1: "),
        (
            "\n[segment]\nthreads = \"\u{1b}",
            "is not valid TOML in line 3: ",
        ),
        ("model = \"a\"\nclip = \"b\"", "cannot be used with"),
        ("segment = 1", "stand in a table [segment]"),
    ];
    for (file, expected) in cases {
        let message = segment(&[], &[], Some(file)).unwrap_err();
        assert!(message.contains(expected), "{file}: {message}");
        assert!(message.contains("onfiguration file"), "{file}: {message}");
        assert!(!message.contains("Usage:"), "{file}: {message}");
    }
    let message = segment(&[], &[("VCP_CLIP_THREADS", "0")], None).unwrap_err();
    assert!(message.contains("environment variable"), "{message}");
    let message = segment(&["--config", "no/such/file"], &[], None).unwrap_err();
    assert!(message.contains("no/such/file cannot be read"), "{message}");
    let message = segment(&[], &[], Some(&"#".repeat(2 << 20))).unwrap_err();
    assert!(message.contains("is too long"), "{message}");
}

#[cfg(unix)]
#[test]
fn an_endless_file_is_given_up() {
    let message = segment(&["--config", "/dev/zero"], &[], None).unwrap_err();
    assert!(message.contains("is too long"), "{message}");
}

#[test]
fn unknown_variables_are_reported() {
    let variables: Vec<(OsString, OsString)> = ["VCP_CLIP_TREADS", "VCP_CLIP_OFFLINE", "HOME"]
        .iter()
        .map(|key| (key.into(), "1".into()))
        .collect();
    let reported = |line: &[&str]| {
        let line = line.iter().map(OsString::from).collect();
        parse(line, &variables).unwrap().unknown_variables
    };
    assert_eq!(reported(&["vcp-clip", "segment", "x"]), ["VCP_CLIP_TREADS"]);
    assert!(reported(&["vcp-clip", "segment", "x", "--quiet"]).is_empty());
    assert_eq!(
        reported(&["vcp-clip", "model", "list"]),
        ["VCP_CLIP_TREADS"]
    );
}
