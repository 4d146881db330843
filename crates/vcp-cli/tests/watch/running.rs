//! `vcp-clip watch`, running.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::cli::{Workplace, bundle};

/// Longer than a photo takes on a machine that does much else.
const LONG: Duration = Duration::from_mins(1);

pub(crate) struct Running {
    child: Child,
    lines: Receiver<Value>,
    said: Option<JoinHandle<String>>,
}

impl Running {
    /// Watches the folder `in`, which is created, with a model of random weights.
    pub(crate) fn start(workplace: &Workplace, arguments: &[&str]) -> Self {
        std::fs::create_dir_all(workplace.path("in")).unwrap();
        let mut child = workplace
            .command(["watch", "in"])
            .args(arguments)
            .arg("--model")
            .arg(bundle())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (give, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // A process that is killed may leave half a line.
                let Ok(value) = serde_json::from_str(&line) else {
                    return;
                };
                if give.send(value).is_err() {
                    return;
                }
            }
        });
        let mut errors = child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            errors.read_to_string(&mut said).unwrap();
            said
        });
        Self {
            child,
            lines,
            said: Some(said),
        }
    }

    /// The next line.
    #[track_caller]
    pub(crate) fn line(&self) -> Value {
        self.lines.recv_timeout(LONG).unwrap()
    }

    /// The next line's path, after the folder.
    #[track_caller]
    pub(crate) fn name(&self) -> String {
        name(&self.line())
    }

    /// Fails if a line comes in this time.
    #[track_caller]
    pub(crate) fn is_silent(&self, time: Duration) {
        let line = self.lines.recv_timeout(time);
        assert_eq!(line, Err(RecvTimeoutError::Timeout));
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Kills it; gives the lines that were printed before.
    pub(crate) fn kill(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = self.said.take().unwrap().join();
        self.lines.iter().collect()
    }

    /// Asks it to stop; gives its status and what it said.
    #[track_caller]
    pub(crate) fn stop(self) -> (Option<i32>, String) {
        self.signal("-TERM");
        self.end()
    }

    /// Waits for its end; gives its status and what it said.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        while begun.elapsed() < LONG {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.said.take().unwrap().join().unwrap());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of a line, after the folder.
#[track_caller]
pub(crate) fn name(line: &Value) -> String {
    let path = line["path"].as_str().unwrap();
    path.strip_prefix("in/").unwrap_or(path).to_owned()
}
