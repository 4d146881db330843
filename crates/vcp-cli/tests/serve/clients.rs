//! Programs of others that ask the server. They are run where the variable `VCP_CLIP_CLIENTS` names a virtual
//! environment of Python that has them, as `.ci/run` makes one; elsewhere they are skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::Server;
use crate::support::cli::Workplace;

/// A program of that environment.
fn program(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("VCP_CLIP_CLIENTS") else {
        eprintln!("skipped: VCP_CLIP_CLIENTS names no environment with {name}");
        return None;
    };
    Some(Path::new(&folder).join("bin").join(name))
}

#[track_caller]
fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&text)
    );
}

#[test]
fn the_client_of_triton_is_understood() {
    let Some(python) = program("python") else {
        return;
    };
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &[]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let record = server.post("/v1/segment", &photo).is(200).json();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve/triton.py");
    succeeds(
        Command::new(python)
            .arg(script)
            .args([&server.address, "random", "70"])
            .arg(workplace.path("a.png"))
            .arg(record["score"].to_string()),
    );
}

/// Requests made up from the description find no error of the server's own, and no answer that is not described.
#[test]
fn the_description_holds_for_requests_that_are_made_up() {
    let Some(schemathesis) = program("schemathesis") else {
        return;
    };
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &["--history=history"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    server.post("/v1/segment", &photo).is(200);
    succeeds(
        Command::new(schemathesis)
            .current_dir(workplace.path(""))
            .args(["run", &format!("http://{}/openapi.json", server.address)])
            .args([
                "--checks=not_a_server_error,response_schema_conformance,content_type_conformance",
            ])
            .args([
                "--exclude-path=/v1/events",
                "--max-examples=15",
                "--seed=1",
                "--generation-deterministic",
                "--phases=coverage,fuzzing",
            ]),
    );
}
