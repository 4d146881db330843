//! A run that was interrupted, and folders that are not its own.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::support::cli::{Outcome, Workplace, bundle};
use crate::support::data::mvtec;
use crate::{log, run, same_bytes, train};

/// A state as earlier versions wrote it: spaces at the end of the header instead of its digest.
fn without_digest(mut state: Vec<u8>) -> Vec<u8> {
    let key = format!("\"{}\":\"", vcp_checkpoint::seal::KEY);
    let at = state.windows(key.len()).position(|it| it == key.as_bytes());
    let entry = at.unwrap()..at.unwrap() + key.len() + 64 + "\",".len();
    let length = u64::from_le_bytes(*state.first_chunk().unwrap()) as usize;
    state[entry.start..8 + length].rotate_left(entry.len());
    state[8 + length - entry.len()..8 + length].fill(b' ');
    state
}

#[test]
fn a_killed_run_ends_as_an_unbroken_one() {
    let workplace = mvtec();
    let options = ["--val-share", "0.3", "--average", "3", "--learned-blend"];
    run(&workplace, "unbroken", &options).ends_with(0);
    let lines = |run: &str| {
        let metrics = workplace.path(run).join("metrics.jsonl");
        let metrics = fs::read_to_string(metrics).unwrap_or_default();
        metrics.matches('\n').count()
    };
    // Once before anything was done, then each time that a further line of the log stands there: after a step
    // or an epoch, whatever is being written then. A run that resumes writes the lines again that no state
    // knows of, so each gets at least a line further.
    let mut kills_amid_steps = 0;
    for number in 0.. {
        let before = lines("broken");
        if before + 1 >= lines("unbroken") {
            break;
        }
        let mut child = train(&workplace, "broken", &options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while number > 0 && lines("broken") <= before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // SIGKILL: nothing can be tidied up.
        child.kill().unwrap();
        let ended_by_itself = child.wait().unwrap().code().is_some();
        if ended_by_itself {
            break;
        }
        kills_amid_steps += usize::from(number > 0);
    }
    assert!(kills_amid_steps >= 3, "{kills_amid_steps} kills amid steps");
    run(&workplace, "broken", &options).ends_with(0);
    for name in [
        "last.pth",
        "epoch-002.pth",
        "best.safetensors",
        "average.safetensors",
    ] {
        same_bytes(
            &workplace,
            &format!("broken/{name}"),
            &format!("unbroken/{name}"),
        );
    }
    let [broken, unbroken] = ["broken", "unbroken"].map(|name| log(&workplace.path(name)));
    assert_eq!(broken, unbroken);
    // As if it had been killed when all of the last epoch was written but the state that says so.
    let state = workplace.path("broken/state.safetensors");
    let mut bytes = std::fs::read(&state).unwrap();
    let epochs = br#"\"written\":3"#;
    let at = bytes.windows(epochs.len()).position(|it| it == epochs);
    bytes[at.unwrap() + epochs.len() - 1] = b'2';
    std::fs::write(&state, without_digest(bytes)).unwrap();
    run(&workplace, "broken", &options).ends_with(0);
    assert_eq!(log(&workplace.path("broken")), unbroken);
    // Whatever was being written when it was killed has been removed.
    let [broken, unbroken] = ["broken", "unbroken"].map(|folder| {
        let files = workplace.files(folder);
        let is_result = |file: &String| !file.starts_with("events.");
        files.into_iter().filter(is_result).collect::<Vec<_>>()
    });
    assert_eq!(broken, unbroken);
}

#[test]
fn only_the_same_run_goes_on() {
    let workplace = mvtec();
    run(&workplace, "run", &["--epochs", "1"]).ends_with(2);
    let short = |further: &[&str]| {
        let mut command = workplace.command([
            "train",
            "--dataset",
            "mvtec",
            "--root",
            "set",
            "--epochs",
            "1",
            "--batch-size",
            "4",
            "--out",
            "run",
            "--quiet",
        ]);
        command.args(further).arg("--model").arg(bundle());
        Outcome::of(command.output().unwrap())
    };
    short(&[]).ends_with(0);
    short(&["--seed", "4", "--dice", "2"])
        .ends_with(2)
        .says("recipe.loss.dice, recipe.seed")
        .says("--restart");
    short(&["--augment", "none"])
        .ends_with(2)
        .says("another data");
    let quiet = short(&["--seed", "4", "--restart"]).ends_with(0);
    assert_eq!(quiet.stderr, "");
    // What earlier versions left there is removed.
    let state = br#"12345678{"__metadata__":{"vcp_clip_tr"#;
    workplace.write("run/.tmpAbC123", state);
    workplace.write("run/.vcp-clip-AbC123.partial", "half");
    short(&["--seed", "4"]).ends_with(0);
    assert!(
        !workplace
            .files("run")
            .iter()
            .any(|name| name.starts_with('.'))
    );
    // Another file in the folder is not the run's.
    workplace.write("run/mine.txt", "kept");
    short(&["--restart"]).ends_with(0);
    assert!(workplace.path("run/mine.txt").is_file());
}

#[test]
fn two_runs_do_not_write_into_one_folder() {
    let workplace = mvtec();
    fs::create_dir(workplace.path("run")).unwrap();
    let lock = vcp_files::Lock::of_folder(&workplace.path("run")).unwrap();
    run(&workplace, "run", &[])
        .ends_with(2)
        .says("Another run is writing to run");
    workplace
        .run(&["pretrain", "--out", "run", "--restart"])
        .ends_with(2)
        .says("Another run is writing to run");
    drop(lock);
    assert_eq!(workplace.files("run"), Vec::<String>::new());
    // A killed run keeps nobody out.
    let mut child = train(&workplace, "run", &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    run(&workplace, "run", &[]).ends_with(0);
}

#[test]
fn somebody_elses_folder_is_no_runs() {
    let workplace = mvtec();
    for name in ["best.pth", "config.toml", "loss.png", "epoch-1.pth"] {
        workplace.write(&format!("site/{name}"), "title = 'mine'");
        workplace.write(&format!("weights/{name}"), "mine");
    }
    fs::remove_file(workplace.path("weights/config.toml")).unwrap();
    let before = [workplace.files("site"), workplace.files("weights")];
    for (out, further) in [
        ("site", &["--restart"][..]),
        ("site", &[]),
        ("weights", &["--restart"]),
    ] {
        run(&workplace, out, further)
            .ends_with(2)
            .says("is not the folder of a run")
            .says("best.pth");
    }
    assert_eq!(
        [workplace.files("site"), workplace.files("weights")],
        before
    );
}

/// Products large enough to be shared among threads.
#[test]
fn the_number_of_threads_changes_no_bit_of_a_training() {
    let workplace = Workplace::new();
    let pretrain = |threads: &str| {
        let mut command = workplace.command([
            "pretrain",
            "--width",
            "64",
            "--layers",
            "2",
            "--text-layers",
            "1",
            "--taps",
            "1,2",
            "--image-size",
            "64",
            "--epochs",
            "1",
            "--epoch-images",
            "16",
            "--pixels-from",
            "0",
            "--image-loss",
            "0.2",
            "--out",
            threads,
        ]);
        command.env("RAYON_NUM_THREADS", threads);
        Outcome::of(command.output().unwrap()).ends_with(0);
    };
    pretrain("1");
    pretrain("3");
    same_bytes(&workplace, "1/last.safetensors", "3/last.safetensors");
}
