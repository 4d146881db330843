//! The real binary in a temporary folder.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use vcp_checkpoint::{Geometry, Settings, Storing, TowerGeometry, Weights};

use super::photos;

/// A small model with random weights, made once per test program.
pub(crate) fn bundle() -> &'static Path {
    static FOLDER: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("random.safetensors");
        weights().write_bundle(&path, Storing::AsStored).unwrap();
        (folder, path)
    });
    path
}

pub(crate) fn weights() -> Weights {
    let geometry = Geometry {
        embedding_width: 128,
        vision: TowerGeometry::new(2, 128),
        patch_size: 14,
        native_grid: 3,
        text: TowerGeometry::new(2, 128),
        tap_count: 2,
        ..Geometry::vit_l_14()
    };
    let settings = Settings {
        taps: vec![1, 2],
        image_size: 70,
        ..Settings::default()
    };
    Weights::random(geometry, settings, 1).unwrap()
}

/// A folder in which the binary is run.
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// With photos of 40 by 30 pixels under these names.
    pub(crate) fn with_photos(names: &[&str]) -> Self {
        let workplace = Self::new();
        for (seed, name) in names.iter().enumerate() {
            workplace.photo(name, seed);
        }
        workplace
    }

    pub(crate) fn photo(&self, name: &str, seed: usize) {
        photos::write(&self.path(name), 40, 30, seed);
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every file below a folder, relative to it, with `/` between folders.
    pub(crate) fn files(&self, below: &str) -> Vec<String> {
        let root = self.path(below);
        let mut names: Vec<String> = walkdir::WalkDir::new(&root)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| !entry.file_type().is_dir())
            .map(|entry| {
                let path = entry.path().strip_prefix(&root).unwrap();
                path.to_str().unwrap().replace('\\', "/")
            })
            .collect();
        names.sort();
        names
    }

    /// A command that sees neither the user's cache nor variables of ours.
    pub(crate) fn command(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vcp-clip"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy().to_ascii_uppercase();
            if name_text.starts_with("VCP_CLIP_") || name_text.ends_with("_PROXY") {
                command.env_remove(name);
            }
        }
        command.env("VCP_CLIP_CACHE", self.path("cache"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap())
    }

    /// `segment` with the small random model.
    pub(crate) fn segment(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.segment_command(arguments).output().unwrap())
    }

    pub(crate) fn segment_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(["segment"]);
        command.args(arguments).arg("--model").arg(bundle());
        command
    }

    pub(crate) fn segment_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut child = self
            .segment_command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        Outcome::of(child.wait_with_output().unwrap())
    }
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Fails unless the run ended with this status; gives itself for more.
    #[track_caller]
    pub(crate) fn ends_with(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:#?}");
        self
    }

    /// Fails unless standard error holds this.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text),
            "{text:?} is not said: {self:#?}"
        );
        self
    }

    /// The JSON lines.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.stdout.lines().map(parse).collect()
    }

    /// The `path` of every line.
    #[track_caller]
    pub(crate) fn paths(&self) -> Vec<String> {
        self.lines()
            .iter()
            .map(|line| line["path"].as_str().unwrap().replace('\\', "/"))
            .collect()
    }
}
