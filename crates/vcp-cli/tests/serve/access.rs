//! Who is answered.

use crate::client::Server;
use crate::support::cli::Workplace;

#[test]
fn names_of_other_servers_are_refused_on_loopback() {
    let workplace = Workplace::new();
    let server = Server::start(&workplace, &["--allow-host=station.example"]);
    let with = |host: &str| server.ask("GET", "/v1/models", &[("host", host)], b"");
    for host in [
        "localhost",
        "localhost:1",
        "127.0.0.1",
        "[::1]:80",
        "Station.example",
    ] {
        with(host).is(200);
    }
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1", ""] {
        with(host).refuses(421, "names another server");
    }
}

#[test]
fn pages_of_other_sites_may_not_send() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let server = Server::start(&workplace, &["--allow-origin=https://line.example"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let from = |origin: &str| server.ask("POST", "/v1/segment", &[("origin", origin)], &photo);
    let own = format!("http://{}", server.address);
    let reply = from(&own).is(200);
    assert_eq!(reply.header("access-control-allow-origin"), None);
    for origin in ["https://evil.example", "null", "http://line.example"] {
        from(origin).refuses(403, "Pages of other sites");
    }
    let reply = from("https://line.example").is(200);
    let allowed = reply.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://line.example"));
    let ask = [
        ("origin", "https://line.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization"),
    ];
    let reply = server.ask("OPTIONS", "/v1/segment", &ask, b"").is(200);
    let methods = reply.header("access-control-allow-methods").unwrap();
    assert!(methods.contains("PUT"), "{methods}");
    // Without the option nothing is said to other sites at all.
    let strict = Server::start(&workplace, &[]);
    let reply = strict.ask("GET", "/v1/models", &ask[..1], b"").is(200);
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

#[test]
fn keys_are_asked_for() {
    let workplace = Workplace::with_photos(&["a.png"]);
    workplace.write("keys", "# the line\n0123456789abcdef\nfedcba9876543210\n");
    let server = Server::start(&workplace, &["--api-key-file=keys"]);
    for target in ["/v1/models", "/v1/info", "/nowhere"] {
        let reply = server.get(target).refuses(401, "A key is needed");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    for target in ["/healthz", "/readyz", "/", "/page/main.js"] {
        server.get(target).is(200);
    }
    let with = |value: &str| server.ask("GET", "/v1/models", &[("authorization", value)], b"");
    with("Bearer 0123456789abcdef").is(200);
    with("bearer fedcba9876543210").is(200);
    for value in [
        "Bearer 0123456789abcdeX",
        "Bearer ",
        "0123456789abcdef",
        "Basic 0123456789abcdef",
    ] {
        with(value).is(401);
    }
    let info = server.ask(
        "GET",
        "/v1/info",
        &[("authorization", "Bearer 0123456789abcdef")],
        b"",
    );
    assert_eq!(info.is(200).json()["authentication"], true);
}

#[test]
fn others_are_listened_to_only_with_a_word() {
    let workplace = Workplace::new();
    let run = |arguments: &[&str]| workplace.run(arguments).ends_with(2);
    run(&["serve", "--listen=0.0.0.0:0"]).says("Other machines can reach 0.0.0.0:0");
    run(&["serve", "--listen=nowhere"]).says("is no address and port");
    workplace.write("keys", "short\n");
    run(&["serve", "--api-key-file=keys"]).says("fewer than 16 characters");
    run(&["serve", "--api-key-file=none"]).says("cannot be read");
    run(&["serve", "--allow-origin=*"]).says("--allow-origin takes the origin of a page");
    run(&["serve", "--page=all"]).says("answered with one record");
    run(&["serve", "--model=built-in", "--model=built-in"]).says("Two models are called built-in");
    run(&["serve", "--listen=127.0.0.1:0", "--model=missing"])
        .says("There is no model called missing");
    let server = Server::start_with(&workplace, &["--listen=0.0.0.0:0", "--open"]);
    drop(server);
}
