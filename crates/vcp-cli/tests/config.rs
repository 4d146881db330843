//! Options from a file and from the environment: what is said about mistakes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::cli::{Outcome, Workplace};

/// `segment` with these further arguments and variables, which is refused.
fn refused(workplace: &Workplace, line: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = workplace.command(["segment", "photo.png"]);
    let command = command.args(line).envs(variables.iter().copied());
    Outcome::of(command.output().unwrap()).ends_with(2).stderr
}

fn refused_file(workplace: &Workplace, content: &str) -> String {
    workplace.write("config.toml", content);
    refused(workplace, &["--config", "config.toml"], &[])
}

#[test]
fn mistakes_are_named() {
    let workplace = Workplace::new();
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
        let message = refused_file(&workplace, file);
        assert!(message.contains(expected), "{file}: {message}");
        assert!(message.contains("onfiguration file"), "{file}: {message}");
        assert!(!message.contains("Usage:"), "{file}: {message}");
    }
    let message = refused(&workplace, &[], &[("VCP_CLIP_THREADS", "0")]);
    assert!(message.contains("environment variable"), "{message}");
    let message = refused(&workplace, &["--config", "no/such/file"], &[]);
    assert!(message.contains("no/such/file cannot be read"), "{message}");
    let message = refused_file(&workplace, &"#".repeat(2 << 20));
    assert!(message.contains("is too long"), "{message}");
}

#[cfg(unix)]
#[test]
fn an_endless_file_is_given_up() {
    let message = refused(&Workplace::new(), &["--config", "/dev/zero"], &[]);
    assert!(message.contains("is too long"), "{message}");
}

#[test]
fn unknown_variables_are_reported() {
    let workplace = Workplace::new();
    for (line, is_reported) in [
        (&["segment", "x"][..], true),
        (&["segment", "x", "--quiet"], false),
        (&["model", "list"], true),
    ] {
        let mut command = workplace.command(line);
        command.env("VCP_CLIP_TREADS", "1");
        command.env("VCP_CLIP_OFFLINE", "1");
        let said = Outcome::of(command.output().unwrap()).stderr;
        let note = "VCP_CLIP_TREADS is set, but vcp-clip has no option of that name.";
        assert_eq!(said.contains(note), is_reported, "{line:?}: {said}");
        assert!(!said.contains("VCP_CLIP_OFFLINE"), "{line:?}: {said}");
    }
}
