//! Under a quota of processor time, as containers have one, there are as many threads as it pays for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "says what is skipped")]
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use serde_json::Value;

/// A control group with a quota of one processor; removed when dropped.
struct OneProcessor(PathBuf);

impl OneProcessor {
    /// Of the second version of control groups, or of the first. The user may not be allowed to make one.
    fn new() -> io::Result<Self> {
        let name = format!("vcp-clip-test-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        if root.join("cgroup.controllers").is_file() {
            let group = Self(root.join(name));
            fs::create_dir(&group.0)?;
            fs::write(group.0.join("cpu.max"), "100000 100000")?;
            Ok(group)
        } else {
            let group = Self(root.join("cpu").join(name));
            fs::create_dir(&group.0)?;
            fs::write(group.0.join("cpu.cfs_period_us"), "100000")?;
            fs::write(group.0.join("cpu.cfs_quota_us"), "100000")?;
            Ok(group)
        }
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn threads(command: &mut Command) -> u64 {
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["threads"].as_u64().unwrap()
}

#[test]
fn threads_are_those_of_the_quota() {
    const BENCH: [&str; 6] = ["bench", "--model", "built-in", "--repeat", "1", "--json"];
    let program = env!("CARGO_BIN_EXE_vcp-clip");
    let group = match OneProcessor::new() {
        Ok(group) => group,
        Err(error) => {
            eprintln!("skipped: no control group can be made here ({error})");
            return;
        }
    };
    let script = r#"echo $$ > "$1/cgroup.procs" && shift && exec "$@""#;
    let mut limited = Command::new("sh");
    limited.args(["-c", script, "sh"]).arg(&group.0);
    assert_eq!(threads(limited.arg(program).args(BENCH)), 1);
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    assert_eq!(threads(Command::new(program).args(BENCH)), cores);
}
