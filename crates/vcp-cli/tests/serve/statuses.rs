//! What is refused, and how.

use std::io::Write as _;

use crate::client::{Reply, Server, multipart};
use crate::support::cli::Workplace;

#[test]
fn what_is_no_photo_is_refused_in_the_words_of_segment() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &["--max-pixels=1200"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let large = Workplace::new();
    large.photo("large.png", 1);
    crate::support::photos::write(&large.path("large.png"), 41, 30, 1);
    let large = std::fs::read(large.path("large.png")).unwrap();
    for (name, content, status) in [
        ("text.png", &b"no picture at all"[..], 415),
        ("page.png", b"<!doctype html><p>Not found", 415),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", 415),
        ("zeros.png", &[0; 4096], 415),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", 422),
        ("cut.bmp", &photo[..200], 422),
        ("large.bmp", &large, 413),
    ] {
        workplace.write(name, content);
        let printed = workplace.segment(&[name, "--max-pixels=1200"]).ends_with(1);
        let sentence = printed.lines().remove(0)["error"]
            .as_str()
            .unwrap()
            .to_owned();
        let target = format!("/v1/segment?name={name}");
        let reply = server.post(&target, content).is(status);
        assert_eq!(reply.json()["error"], sentence.as_str());
    }
    server
        .post("/v1/segment", b"")
        .refuses(400, "The body is empty");
    server.post("/v1/segment?name=a", &photo).is(200);
    server.post("/v1/segment?model=", &photo).is(200);
    // What is wrong is named.
    for (query, place) in [
        ("keep=1", " at keep: "),
        ("min_area=2&score_threshold=abc", " at score_threshold: "),
        ("other=1", " at other: "),
    ] {
        server
            .post(&format!("/v1/segment?{query}"), &photo)
            .refuses(400, place);
    }
}

#[test]
fn the_page_is_part_of_the_program() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[]);
    let page = server.get("/").is(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'self'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    // All that it asks for is there.
    let text = String::from_utf8(page.body).unwrap();
    let files: Vec<_> = text
        .split('"')
        .filter(|it| it.starts_with("page/"))
        .collect();
    assert!(!files.is_empty(), "{text}");
    for file in files {
        let file = server.get(&format!("/{file}")).is(200);
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn addresses_and_methods_that_there_are_not() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &[]);
    server
        .get("/v2x")
        .refuses(404, "There is nothing at this address");
    server
        .get("/v1/segment")
        .refuses(405, "does not take this method");
    for target in [
        "/v1/results/%ff",
        "/v1/results/x/%ff",
        "/page/%ff",
        "/v2/models/%ff",
    ] {
        server.get(target).refuses(400, "no text in UTF-8");
    }
    server
        .get("/%ff")
        .refuses(404, "There is nothing at this address");
    server.get("/page/../Cargo.toml").is(404);
    server.get("/page/%2e%2e/Cargo.toml").is(404);
    server.get("/healthz").is(200);
    server.get("/readyz").is(200);
    let (_, body) = multipart(&[("image", "a.png", b"x")]);
    for kind in ["multipart/form-data", "multipart/mixed; boundary=limit"] {
        let reply = server.ask("POST", "/v1/segment", &[("content-type", kind)], &body);
        reply.refuses(415, "multipart/form-data with a boundary");
    }
    let headers = [("content-type", "multipart/form-data; boundary=other")];
    let reply = server.ask("POST", "/v1/segment", &headers, &body);
    reply.refuses(400, "The parts of the body cannot be told apart");
}

#[test]
fn bodies_that_are_too_long_are_refused_before_they_are_sent() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &["--max-body=100000"]);
    // Announced, but not sent.
    let headers = [("content-length", "100001")];
    let reply = server.ask("POST", "/v1/segment", &headers, b"");
    reply.refuses(413, "longer than the 100000 bytes");
    let headers = [("content-length", "99999999999999999999")];
    let mut stream = server.connect();
    let request = server.request("POST", "/v1/segment", &headers, b"");
    stream.write_all(&request).unwrap();
    assert!((400..500).contains(&Reply::read(&mut stream).unwrap().status));
    // A client that asks first is told not to send.
    let headers = [("content-length", "100001"), ("expect", "100-continue")];
    let reply = server.ask("POST", "/v1/segment", &headers, b"");
    reply.refuses(413, "longer than the 100000 bytes");
    // Unannounced, in chunks: refused at the first that is too much, and heard by a client that sends on.
    let mut stream = server.connect();
    let headers = [("transfer-encoding", "chunked"), ("content-length", "")];
    let head = server.request("POST", "/v1/segment", &headers, b"");
    let head = String::from_utf8(head)
        .unwrap()
        .replace("content-length: \r\n", "");
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [&b"8000\r\n"[..], &vec![0; 0x8000], b"\r\n"].concat();
    for _ in 0..40 {
        stream.write_all(&chunk).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    let reply = Reply::read(&mut stream).unwrap();
    reply.refuses(413, "longer than the 100000 bytes");
    // The connection is still good.
    stream
        .write_all(&server.request("GET", "/healthz", &[], b""))
        .unwrap();
    Reply::read(&mut stream).unwrap().is(200);
}

#[test]
fn heads_and_parts_without_end_are_refused() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &[]);
    let many: Vec<_> = (0..1000).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "y")).collect();
    assert_eq!(server.ask("GET", "/healthz", &many, b"").status, 431);
    let long = "y".repeat(1 << 20);
    let mut stream = server.connect();
    let request = server.request("GET", "/healthz", &[("x", &long)], b"");
    // It may be cut amid the header.
    let _ = stream.write_all(&request);
    if let Some(reply) = Reply::read(&mut stream) {
        assert_eq!(reply.status, 431);
    }
    let part: (&str, &str, &[u8]) = ("image", "a", b"");
    let (kind, body) = multipart(&vec![part; 257]);
    let headers = [("content-type", kind.as_str())];
    let reply = server.ask("POST", "/v1/segment", &headers, &body);
    reply.refuses(413, "at most 256 parts");
    let (kind, body) = multipart(&[("image", &"n".repeat(2000), b"x")]);
    let headers = [("content-type", kind.as_str())];
    let reply = server.ask("POST", "/v1/segment", &headers, &body);
    reply.refuses(400, "A name has at most");
    // Names are names, whatever they look like.
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let reply = server
        .post("/v1/segment?name=..%2F..%2Fetc%2F%1b%5B2Jpasswd", &photo)
        .is(200);
    let text = String::from_utf8(reply.body).unwrap();
    assert!(
        text.contains(r#""path":"../../etc/\u001b[2Jpasswd""#),
        "{text}"
    );
    server.get("/healthz").is(200);
}
