//! Connections: too many, too slow, idle.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Reply, Server};
use crate::support::cli::Workplace;
use crate::support::photos;

#[test]
fn slow_senders_and_idle_connections_are_let_go() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let server = Server::start(&workplace, &["--body-timeout=1", "--idle-timeout=1"]);
    let request = server.request("POST", "/v1/segment", &[], &photo);
    // One that says nothing, one amid its head, one amid its body, and one between two requests.
    let idle = server.connect();
    let mut head = server.connect();
    head.write_all(&request[..20]).unwrap();
    let mut body = server.connect();
    body.write_all(&request[..request.len() - 10]).unwrap();
    let mut between = server.connect();
    between.write_all(&request).unwrap();
    Reply::read(&mut between).unwrap().is(200);
    let begun = Instant::now();
    let reply = Reply::read(&mut body).unwrap();
    reply.refuses(408, "did not arrive within 1 seconds");
    for mut stream in [idle, head, between] {
        let mut rest = Vec::new();
        // The end, or a reset.
        let _ = stream.read_to_end(&mut rest);
        let rest = String::from_utf8_lossy(&rest);
        assert!(
            rest.is_empty() || rest.starts_with("HTTP/1.1 408"),
            "{rest}"
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    server.post("/v1/segment", &photo).is(200);
}

#[test]
fn slow_readers_are_let_go() {
    // With more patience, a piece that the server writes at a time is taken within it.
    for (patience, few) in [(2, 100), (6, 240)] {
        one_slow_reader_is_let_go(patience, few);
    }
}

fn one_slow_reader_is_let_go(patience: u64, few: usize) {
    let workplace = Workplace::new();
    photos::write(&workplace.path("large.bmp"), 2000, 1500, 1);
    let photo = std::fs::read(workplace.path("large.bmp")).unwrap();
    let patience = format!("--idle-timeout={patience}");
    let server = Server::start(&workplace, &["--history=history", &patience]);
    let reply = server.post("/v1/segment", &photo).is(200);
    // 9 MB, of which the system holds some hundred kB for who does not take them.
    let target = format!("{}/photo", reply.header("location").unwrap());
    let request = server.request("GET", &target, &[], b"");
    let mut slow = server.connect();
    slow.write_all(&request).unwrap();
    // It takes something all the time, but little.
    let begun = Instant::now();
    let mut few = vec![0; few];
    let mut taken = 0;
    loop {
        taken += slow.read(&mut few).unwrap_or(0);
        thread::sleep(Duration::from_millis(20));
        // That of the question itself.
        if server.metric("vcp_clip_connections") <= 1 {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "it was never let go, and has taken {taken} bytes"
        );
    }
    assert!(taken < photo.len() / 10, "{taken}");
    // One that takes a lot at a time, with pauses, is served.
    let mut steady = server.connect();
    steady.write_all(&request).unwrap();
    let mut bytes = Vec::new();
    let mut piece = vec![0; 1 << 20];
    while !bytes.ends_with(&photo[photo.len() - 1000..]) {
        let length = steady.read(&mut piece).unwrap();
        assert!(length > 0, "it was let go after {} bytes", bytes.len());
        bytes.extend_from_slice(&piece[..length]);
        thread::sleep(Duration::from_millis(5));
    }
    assert!(bytes.ends_with(&photo));
}

#[test]
fn connections_that_are_too_many_are_told_so() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    let server = Server::start(&workplace, &["--max-connections=8"]);
    let mut open: Vec<TcpStream> = (0..8).map(|_| server.connect()).collect();
    // They are accepted in their order.
    let mut next = server.connect();
    let reply = Reply::read(&mut next).unwrap();
    assert_eq!(reply.header("retry-after"), Some("2"));
    reply.refuses(503, "as many connections open as it allows");
    // Those that have a place are served.
    let request = server.request("POST", "/v1/segment", &[], &photo);
    open[0].write_all(&request).unwrap();
    Reply::read(&mut open[0]).unwrap().is(200);
    open.pop();
    let begun = Instant::now();
    while server.get("/healthz").status != 200 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "no place gets free"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// How many connections are opened at a time, and how many of them by each process: most systems allow a process 1024.
const CROWD: usize = 10_000;
const EACH: usize = 800;

/// Where the processes find the server.
const ADDRESS: &str = "VCP_CLIP_CROWDED";

#[test]
fn ten_thousand_connections_are_refused_politely() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let photo = std::fs::read(workplace.path("a.png")).unwrap();
    // Those that have a place keep it.
    let options = ["--max-connections=8", "--idle-timeout=600"];
    let server = Server::start(&workplace, &options);
    let mut served = server.connect();
    let mut ask = |method: &str, target: &str, body: &[u8]| {
        let begun = Instant::now();
        served
            .write_all(&server.request(method, target, &[], body))
            .unwrap();
        Reply::read(&mut served).unwrap().is(200);
        begun.elapsed()
    };
    ask("POST", "/v1/segment", &photo);
    let others: Vec<_> = (0..7).map(|_| server.connect()).collect();
    let before = server.memory();
    let mut members: Vec<_> = (0..CROWD.div_ceil(EACH))
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["connections::crowd", "--exact", "--ignored", "--nocapture"])
                .env(ADDRESS, &server.address)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut said: Vec<_> = members
        .iter_mut()
        .map(|member| BufReader::new(member.stdout.take().unwrap()).lines())
        .collect();
    let mut hear = |member: usize, word: &str| -> usize {
        let lines = said[member].by_ref().map_while(Result::ok);
        let mut numbers = lines.filter_map(|line| line.strip_prefix(word)?.parse().ok());
        numbers.next().expect("a process of the crowd ended early")
    };
    let mut longest = Duration::ZERO;
    let mut open = 0;
    for member in 0..members.len() {
        open += hear(member, "open ");
        longest = longest.max(ask("GET", "/healthz", b""));
    }
    assert!(open >= CROWD, "{open}");
    ask("POST", "/v1/segment", &photo);
    let grown = server.memory().saturating_sub(before);
    for member in &mut members {
        member.stdin.take().unwrap().write_all(b"read\n").unwrap();
    }
    let told: usize = (0..members.len()).map(|member| hear(member, "told ")).sum();
    for member in &mut members {
        assert!(member.wait().unwrap().success());
    }
    assert_eq!(told, open, "some were cut without a word");
    assert!(grown < 64 << 20, "{grown} bytes more were taken");
    drop(others);
    eprintln!(
        "{open} connections: {told} told, {} kB more memory, /healthz within {} ms",
        grown >> 10,
        longest.as_millis()
    );
}

/// Opens connections, and tells in the end on how many the server said that they are too many.
#[test]
#[ignore = "a part of the test above, in a process of its own"]
fn crowd() {
    let Ok(address) = std::env::var(ADDRESS) else {
        return;
    };
    let mut connections: Vec<TcpStream> = (0..EACH)
        .map(|_| {
            loop {
                // More at a time than the system takes are to try again.
                if let Ok(stream) = TcpStream::connect(&address) {
                    break stream;
                }
                thread::sleep(Duration::from_millis(10));
            }
        })
        .collect();
    say(&format!("open {}", connections.len()));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let told = connections.iter_mut().filter_map(Reply::read);
    say(&format!(
        "told {}",
        told.filter(|it| it.status == 503).count()
    ));
}

/// On a line of its own: what runs tests begins lines too.
#[allow(clippy::disallowed_methods, reason = "words of the test itself")]
fn say(text: &str) {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "\n{text}").unwrap();
    stdout.flush().unwrap();
}
