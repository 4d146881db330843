//! With a real broker, mosquitto.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::running::Running;
use crate::support::cli::Workplace;

const LONG: Duration = Duration::from_mins(1);

/// Where Debian puts what only root is expected to start.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Whether broker and client are there; says so if they are not.
#[allow(clippy::print_stderr, reason = "for whoever runs the tests")]
fn is_skipped() -> bool {
    let is_missing = program("mosquitto").is_none() || program("mosquitto_sub").is_none();
    if is_missing {
        eprintln!(
            "skipped: there is no mosquitto (Debian: apt-get install mosquitto mosquitto-clients)"
        );
    }
    is_missing
}

struct Broker {
    child: Child,
    port: u16,
}

impl Broker {
    /// On a port that was free a moment ago, or this one.
    fn start(workplace: &Workplace, port: Option<u16>, settings: &str) -> Self {
        let port = port.unwrap_or_else(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        });
        workplace.write(
            "broker.conf",
            format!("listener {port} 127.0.0.1\nuser root\npersistence false\n{settings}\n"),
        );
        let child = Command::new(program("mosquitto").unwrap())
            .arg("-c")
            .arg(workplace.path("broker.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let broker = Self { child, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < LONG, "the broker does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        broker
    }

    /// What is published under a topic from now on, and what is retained there.
    fn hear(&self, topic: &str, arguments: &[&str]) -> Heard {
        let mut child = Command::new(program("mosquitto_sub").unwrap())
            .args(["-p", &self.port.to_string(), "-q", "1", "-t", topic])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (give, messages) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = give.send(serde_json::from_str(&line).unwrap());
            }
        });
        Heard { child, messages }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Heard {
    child: Child,
    messages: Receiver<Value>,
}

impl Heard {
    #[track_caller]
    fn next(&self) -> Value {
        self.messages.recv_timeout(LONG).unwrap()
    }

    /// Waits for a status.
    #[track_caller]
    fn state(&self, state: &str) -> Value {
        loop {
            let message = self.next();
            if message["state"] == state {
                return message;
            }
        }
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(workplace: &Workplace, url: &str, more: &[&str]) -> Running {
    let mut arguments = vec![
        "--history",
        "kept",
        "--settle",
        "0.1",
        "--score-threshold",
        "0",
    ];
    arguments.extend(["--mqtt", url, "--topic", "plant/line 1"]);
    arguments.extend(more);
    Running::start(workplace, &arguments)
}

#[test]
fn a_broker_hears_of_results_and_of_the_end() {
    if is_skipped() {
        return;
    }
    let workplace = Workplace::with_photos(&["in/a.png"]);
    workplace.write("in/cut.png", b"\x89PNG\r\n\x1a\n");
    let broker = Broker::start(&workplace, None, "allow_anonymous true");
    let results = broker.hear("plant/line 1/result", &[]);
    let status = broker.hear("plant/line 1/status", &[]);
    std::thread::sleep(Duration::from_millis(300));
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let running = watch(&workplace, &url, &[]);
    status.state("online");
    let mut heard = [results.next(), results.next()];
    heard.sort_by_key(|it| it["path"].as_str().unwrap().to_owned());
    assert_eq!(heard[0]["outcome"], "defect");
    assert_eq!(heard[0]["decision"], "defect");
    assert_eq!(heard[0]["id"].as_str().unwrap().len(), 28);
    assert_eq!(heard[1]["outcome"], "failed");
    assert!(heard[1]["error"].as_str().unwrap().contains("cut.png"));

    // The broker goes and comes again, having forgotten everything. What it has not acknowledged would come twice.
    std::thread::sleep(Duration::from_millis(500));
    let port = broker.port;
    drop((results, status, broker));
    workplace.photo("in/b.png", 2);
    workplace.photo("in/c.png", 3);
    let mut names = [
        running.name(),
        running.name(),
        running.name(),
        running.name(),
    ];
    names.sort();
    assert_eq!(names, ["a.png", "b.png", "c.png", "cut.png"]);
    // It is to send when somebody listens.
    running.signal("-STOP");
    let broker = Broker::start(&workplace, Some(port), "allow_anonymous true");
    let results = broker.hear("plant/line 1/result", &[]);
    std::thread::sleep(Duration::from_millis(500));
    running.signal("-CONT");
    let mut names = [results.next(), results.next()].map(|it| it["path"].to_string());
    names.sort();
    assert_eq!(names, [r#""in/b.png""#, r#""in/c.png""#]);

    assert_eq!(running.stop().0, Some(0));
    // Also for who comes later.
    let status = broker.hear("plant/line 1/status", &["-C", "1"]);
    let last = status.next();
    assert_eq!(
        (&last["state"], &last["inspected"]),
        (&"offline".into(), &3.into())
    );
}

#[test]
fn what_waits_for_a_broker_is_sent_at_the_next_start() {
    if is_skipped() {
        return;
    }
    let workplace = Workplace::with_photos(&["in/a.png", "in/b.png"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody answers there.
    drop(listener);
    let url = format!("mqtt://127.0.0.1:{port}");
    let running = watch(&workplace, &url, &["--csv", "table.csv"]);
    let mut names = [running.name(), running.name()];
    names.sort();
    assert_eq!(names, ["a.png", "b.png"]);
    let (status, said) = running.stop();
    assert_eq!(status, Some(0));
    assert!(
        said.contains("2 results wait for the MQTT broker"),
        "{said}"
    );

    let broker = Broker::start(&workplace, Some(port), "allow_anonymous true");
    let results = broker.hear("plant/line 1/result", &[]);
    std::thread::sleep(Duration::from_millis(500));
    let running = watch(&workplace, &url, &["--csv", "table.csv"]);
    let mut names = [results.next(), results.next()].map(|it| it["path"].to_string());
    names.sort();
    assert_eq!(names, [r#""in/a.png""#, r#""in/b.png""#]);
    // Only the broker had not heard of them.
    running.is_silent(Duration::from_secs(1));
    let (status, said) = running.stop();
    assert_eq!(status, Some(0));
    assert!(!said.contains("MQTT"), "{said}");
    let table = std::fs::read_to_string(workplace.path("table.csv")).unwrap();
    assert_eq!(table.lines().count(), 3);
    let running = watch(&workplace, &url, &[]);
    workplace.photo("in/c.png", 3);
    assert_eq!(results.next()["path"], "in/c.png");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn a_killed_watch_is_offline() {
    if is_skipped() {
        return;
    }
    let workplace = Workplace::with_photos(&["in/a.png"]);
    let broker = Broker::start(&workplace, None, "allow_anonymous true");
    let status = broker.hear("plant/line 1/status", &[]);
    std::thread::sleep(Duration::from_millis(300));
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let running = watch(&workplace, &url, &[]);
    status.state("online");
    running.kill();
    status.state("offline");
}

/// An authority (`ca.pem`), a broker's certificate and key of it, and a file of passwords.
fn make_certificates(workplace: &Workplace) {
    let run = |name: &str, arguments: &[&str]| {
        let done = Command::new(program(name).unwrap())
            .args(arguments)
            .current_dir(workplace.path(""))
            .output()
            .unwrap();
        assert!(done.status.success(), "{name}: {done:?}");
    };
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-subj",
            "/CN=test authority",
        ],
    );
    workplace.write(
        "names",
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    );
    run(
        "openssl",
        &[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "broker.key",
            "-out",
            "broker.csr",
            "-subj",
            "/CN=localhost",
        ],
    );
    run(
        "openssl",
        &[
            "x509",
            "-req",
            "-in",
            "broker.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "names",
            "-out",
            "broker.pem",
        ],
    );
    run(
        "mosquitto_passwd",
        &["-b", "-c", "passwords", "line", "secret"],
    );
}

#[test]
fn brokers_with_passwords_and_certificates_are_reached() {
    if is_skipped() || program("openssl").is_none() {
        return;
    }
    let workplace = Workplace::with_photos(&["in/a.png"]);
    make_certificates(&workplace);
    workplace.write("login", "line\nsecret\n");
    workplace.write("wrong", "line\nother\n");
    let at = |name: &str| workplace.path(name).display().to_string();
    let broker = Broker::start(
        &workplace,
        None,
        &format!(
            "allow_anonymous false\npassword_file {}\ncertfile {}\nkeyfile {}",
            at("passwords"),
            at("broker.pem"),
            at("broker.key")
        ),
    );
    let hearing = [
        "-u",
        "line",
        "-P",
        "secret",
        "--cafile",
        &at("ca.pem"),
        "-h",
        "localhost",
    ];
    let results = broker.hear("plant/line 1/result", &hearing);
    std::thread::sleep(Duration::from_millis(500));
    let url = format!("mqtts://127.0.0.1:{}", broker.port);
    // Without the authority, and with another password, nobody is told.
    for arguments in [
        &["--mqtt-login", "login"][..],
        &["--mqtt-login", "wrong", "--mqtt-ca", "ca.pem"],
    ] {
        let running = watch(&workplace, &url, arguments);
        std::thread::sleep(Duration::from_secs(2));
        let (status, said) = running.stop();
        assert_eq!(status, Some(0));
        assert!(
            said.contains("The connection to the MQTT broker cannot be made"),
            "{said}"
        );
        assert!(
            !said.contains("secret") && !said.contains("other"),
            "{said}"
        );
    }
    assert!(results.messages.try_recv().is_err());
    let running = watch(
        &workplace,
        &url,
        &["--mqtt-login", "login", "--mqtt-ca", "ca.pem"],
    );
    // What nobody was told before, and what comes.
    assert_eq!(results.next()["path"], "in/a.png");
    workplace.photo("in/b.png", 2);
    assert_eq!(results.next()["path"], "in/b.png");
    assert_eq!(running.stop().0, Some(0));
}
