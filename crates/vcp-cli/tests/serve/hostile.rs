//! Bodies that lie, break off or are something else: each is answered by a result or by a sentence, and the server
//! lives on.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use vcp_random::Random;

use crate::client::{Reply, Server, multipart};
use crate::support::cli::Workplace;

/// Files of the repository and, where there is one beside it, of the collection that formats were tested with.
fn corpora() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "../vcp-image/tests/fixtures",
        "../../../shared/faults/hostile",
        "../../../shared/faults/images",
    ];
    let files = folders.iter().flat_map(|folder| {
        walkdir::WalkDir::new(root.join(folder))
            .sort_by_file_name()
            .into_iter()
            // Those that are not there give an error.
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .map(walkdir::DirEntry::into_path)
    });
    // Each decoded picture is beside its file for other tests.
    files
        .filter(|path| {
            path.file_stem()
                .is_some_and(|stem| Path::new(stem).extension().is_none())
        })
        .collect()
}

/// Sends what is hostile on a connection that it keeps for as long as the server does.
struct Sender<'a> {
    server: &'a Server,
    stream: std::net::TcpStream,
}

impl<'a> Sender<'a> {
    fn new(server: &'a Server) -> Self {
        Self {
            stream: server.connect(),
            server,
        }
    }

    /// A result, or a refusal that says what is wrong.
    #[track_caller]
    fn sends(&mut self, target: &str, headers: &[(&str, &str)], body: &[u8], what: &str) -> u16 {
        let request = self.server.request("POST", target, headers, body);
        // It may be refused before all of it is sent.
        let _ = self.stream.write_all(&request);
        let reply =
            Reply::read(&mut self.stream).unwrap_or_else(|| panic!("{what} is not answered"));
        let (status, is_last) = (reply.status, reply.header("connection") == Some("close"));
        let text = String::from_utf8_lossy(&reply.body);
        assert!(matches!(status, 200 | 400..500), "{what}: {status}: {text}");
        if status != 200 {
            let reply = reply.json();
            let sentence = reply["error"].as_str().unwrap();
            assert!(sentence.ends_with('.'), "{what}: {sentence}");
            // Nothing of the machine.
            assert!(!sentence.contains("/tmp"), "{what}: {sentence}");
        }
        if is_last {
            self.stream = self.server.connect();
        }
        status
    }

    /// Nothing was the server's own fault.
    fn ends_well(self) {
        let metrics = self.server.get("/metrics").is(200);
        let text = String::from_utf8(metrics.body).unwrap();
        // 503 was said of readiness, before the models were there.
        assert!(!text.contains("code=\"500\""), "{text}");
        self.server.get("/healthz").is(200);
    }
}

#[test]
fn files_that_lie_are_answered() {
    let files = corpora();
    if files.is_empty() {
        eprintln!("skipped: this is a package, without the files of the repository");
        return;
    }
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &["--history=history"]);
    let mut sender = Sender::new(&server);
    let mut random = Random::new(5);
    let mut counts = [0, 0];
    let mut all = Vec::new();
    for file in &files {
        let whole = std::fs::read(file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut cut = whole.clone();
        cut.truncate(random.below(whole.len()));
        let mut damaged = whole.clone();
        for _ in 0..8 {
            // Sizes are at the beginning.
            let reach = if random.chance(0.5) {
                whole.len().min(64)
            } else {
                whole.len()
            };
            damaged[random.below(reach)] = random.below(256) as u8;
        }
        for (kind, body) in [("as it is", &whole), ("cut", &cut), ("damaged", &damaged)] {
            let status = sender.sends("/v1/segment", &[], body, &format!("{name}, {kind}"));
            counts[usize::from(status != 200)] += 1;
        }
        all.push((name, damaged));
    }
    assert!(counts[0] > files.len() / 2, "{counts:?}");
    assert!(counts[1] > files.len() / 2, "{counts:?}");

    // Together: each has an outcome of its own.
    for some in all.chunks(100) {
        let parts: Vec<_> = some
            .iter()
            .map(|(name, body)| ("image", name.as_str(), &body[..]))
            .collect();
        let (kind, body) = multipart(&parts);
        let headers = [("content-type", kind.as_str())];
        let reply = server
            .ask("POST", "/v1/segment", &headers, &body)
            .is(200)
            .json();
        let results = reply["results"].as_array().unwrap();
        assert_eq!(results.len(), some.len());
        for result in results {
            let is_refused = matches!(result["status"].as_u64(), Some(400..500));
            assert!(is_refused || result["record"].is_object(), "{result}");
        }
    }
    // And by the other protocol.
    for (name, body) in all.iter().step_by(7) {
        let head = json!({
            "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                "parameters": {"binary_data_size": body.len() + 4}}],
            "outputs": [{"name": "pred_score"}],
        })
        .to_string();
        let length = head.len().to_string();
        let headers = [("inference-header-content-length", length.as_str())];
        let behind = [&(body.len() as u32).to_le_bytes()[..], body].concat();
        let body = [head.as_bytes(), &behind].concat();
        sender.sends("/v2/models/random/infer", &headers, &body, name);
    }
    sender.ends_well();
    eprintln!(
        "{} files: {} results, {} refusals",
        files.len(),
        counts[0],
        counts[1]
    );
}

#[test]
fn bodies_that_are_no_photos_are_answered() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let server = Server::start(&workplace, &["--history=history"]);
    let mut sender = Sender::new(&server);
    let (kind, whole) = multipart(&[("image", "a.png", &photo)]);
    let parts = [("content-type", kind.as_str())];
    let head = b"--limit\r\ncontent-disposition: form-data; name=\"image\"";
    for (what, body) in [
        ("parts without an end", whole[..whole.len() - 11].to_vec()),
        ("parts that never begin", b"--limit".repeat(100_000)),
        (
            "a part whose head has no end",
            [&head[..], &b"x".repeat(1 << 20)].concat(),
        ),
        (
            "a part with very many headers",
            [
                &head[..],
                &b"\r\nx: y".repeat(100_000),
                b"\r\n\r\nx\r\n--limit--\r\n",
            ]
            .concat(),
        ),
        (
            "a part with a null in its name",
            [&head[..], b"\0\r\n\r\nx\r\n--limit--\r\n"].concat(),
        ),
        ("nothing but ends", b"\r\n--limit--".repeat(100_000)),
        (
            "very many small parts",
            [head, &b"\r\n\r\n\r\n"[..]].concat().repeat(10_000),
        ),
    ] {
        let status = sender.sends("/v1/segment", &parts, &body, what);
        assert_ne!(status, 200, "{what}");
    }
    let infer = "/v2/models/random/infer";
    for (what, body) in [
        ("lists in lists", "[".repeat(1 << 20)),
        ("objects in objects", r#"{"inputs":"#.repeat(1 << 16)),
        ("very many inputs", format!(r#"{{"inputs":[{}{{}}]}}"#, r#"{"name":"","shape":[],"datatype":""},"#.repeat(100_000))),
        ("a shape without end", format!(r#"{{"inputs":[{{"shape":[{}1]}}]}}"#, "1,".repeat(1 << 20))),
        ("very many outputs", format!(r#"{{"inputs":[],"outputs":[{}{{}}]}}"#, r#"{"name":"x"},"#.repeat(100_000))),
        ("a number that is none", r#"{"inputs":[{"name":"normalised","datatype":"FP32","shape":[1,3,70,70],"data":[1e999]}]}"#.to_owned()),
        ("more images than there are", r#"{"inputs":[{"name":"image","datatype":"BYTES","shape":[18446744073709551615],"data":[]}]}"#.to_owned()),
        ("an id without end", format!(r#"{{"id":"{}","inputs":[]}}"#, "x".repeat(1 << 20))),
    ] {
        let status = sender.sends(infer, &[], body.as_bytes(), what);
        assert_ne!(status, 200, "{what}");
    }
    let json = [("content-type", "application/json")];
    for target in ["/v1/calibrations", "/v1/references"] {
        for body in [
            "[".repeat(1 << 19),
            "x".repeat(2 << 20),
            r#"{"model":"\u0000"}"#.to_owned(),
        ] {
            let status = sender.sends(target, &json, body.as_bytes(), target);
            assert_ne!(status, 200, "{target}");
        }
    }
    // Chunks of a byte each, with more words about them than bytes.
    let mut stream = server.connect();
    let head = server.request("POST", "/v1/segment", &[("content-length", "")], b"");
    let head = String::from_utf8(head).unwrap();
    let head = head.replace("content-length: ", "transfer-encoding: chunked");
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(
        format!("1;{}\r\nx\r\n", "y".repeat(1000))
            .repeat(1000)
            .as_bytes(),
    );
    if let Some(reply) = Reply::read(&mut stream) {
        assert!((400..500).contains(&reply.status), "{reply:?}");
    }
    server.post("/v1/segment", &photo).is(200);
    sender.ends_well();
}
