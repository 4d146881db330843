//! The description of the API.

use std::path::Path;

use serde_json::Value;

use crate::client::Server;
use crate::support::cli::Workplace;

/// To write it anew: `VCP_CLIP_BLESS=1 cargo test -p vcp-cli --test serve openapi`
#[test]
fn the_document_is_what_the_server_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[]);
    let mut given =
        serde_json::to_string_pretty(&server.get("/openapi.json").is(200).json()).unwrap();
    given.push('\n');
    if std::env::var_os("VCP_CLIP_BLESS").is_some() {
        std::fs::write(&path, &given).unwrap();
    }
    let Ok(document) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: this is a package, without the repository's documents");
        return;
    };
    assert_eq!(document, given, "to write it anew: VCP_CLIP_BLESS=1");
}

#[test]
fn every_operation_is_there() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[]);
    let document = server.get("/openapi.json").is(200).json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20);
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let target = path
                .replace("{name}", "random")
                .replace("{version}", "1")
                .replace("{id}", "x")
                .replace("{file}", "x");
            if target == "/v1/events" {
                continue;
            }
            let reply = server.ask(&method.to_uppercase(), &target, &[], b"");
            assert_ne!(reply.status, 405, "{method} {path}");
            let text = String::from_utf8_lossy(&reply.body);
            assert!(
                !text.contains("There is nothing at this address"),
                "{method} {path}"
            );
            check_references(&document, operation);
        }
    }
    check_references(&document, &document["components"]);
}

/// Each reference leads somewhere.
fn check_references(document: &Value, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == "$ref" {
                    let pointer = field.as_str().unwrap().strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{pointer}");
                }
                check_references(document, field);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| check_references(document, item)),
        _ => {}
    }
}
