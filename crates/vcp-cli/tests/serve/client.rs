//! A running server, and a client that can do what no library lets one do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::cli::{Workplace, bundle};

/// Longest wait for anything, well above what it takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server; it is killed with this.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// Address and port.
    pub(crate) address: String,
}

impl Server {
    /// With the small random model.
    pub(crate) fn start(workplace: &Workplace, arguments: &[&str]) -> Self {
        let model = format!("random={}", bundle().display());
        let mut all = vec!["--model", &model];
        all.extend(arguments);
        Self::start_with(workplace, &all)
    }

    /// With these arguments alone, ready.
    pub(crate) fn start_with(workplace: &Workplace, arguments: &[&str]) -> Self {
        let server = Self::begin(workplace, arguments);
        let begun = Instant::now();
        while server.get("/readyz").status != 200 {
            assert!(begun.elapsed() < PATIENCE, "the server does not get ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Listening, but perhaps not ready.
    pub(crate) fn begin(workplace: &Workplace, arguments: &[&str]) -> Self {
        let mut command: Command = workplace.command(["serve"]);
        if !arguments.iter().any(|it| it.starts_with("--listen")) {
            command.arg("--listen=127.0.0.1:0");
        }
        // Not in the folder of whoever runs the tests.
        if !arguments.iter().any(|it| it.starts_with("--history")) {
            command.arg("--history=none");
        }
        let mut child = command
            .arg("--quiet")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let address = line["listening"].as_str().unwrap();
        Self {
            address: address.strip_prefix("http://").unwrap().to_owned(),
            child,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, &[], b"")
    }

    pub(crate) fn post(&self, target: &str, body: &[u8]) -> Reply {
        self.ask("POST", target, &[], body)
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut stream = self.connect();
        stream
            .write_all(&self.request(method, target, headers, body))
            .unwrap();
        Reply::read(&mut stream).expect("an answer")
    }

    /// The bytes of a request.
    pub(crate) fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<u8> {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head = head + "host: " + &self.address + "\r\n";
        }
        if !headers.iter().any(|(name, _)| *name == "content-length") && method != "GET" {
            head = head + "content-length: " + &body.len().to_string() + "\r\n";
        }
        for (name, value) in headers {
            head = head + name + ": " + value + "\r\n";
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        bytes.extend(body);
        bytes
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// The exit status, once it has ended by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The value of the metric that is written like this, 0 where there is none.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.get("/metrics").metric(name)
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kilobytes.parse::<u64>().unwrap() << 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Reads one answer; none where the connection ends before.
    pub(crate) fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut reply = Self {
            status,
            headers,
            body: Vec::new(),
        };
        if status == 100 {
            return Some(reply);
        }
        if let Some(length) = reply.header("content-length") {
            reply.body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut reply.body).ok()?;
        } else if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = chunks(stream)?;
        }
        Some(reply)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The value of the metric that is written like this, 0 where there is none.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = String::from_utf8_lossy(&self.body);
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().map_or(0, |value| value.parse().unwrap())
    }

    /// Fails unless this is the status; gives itself for more.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{text}");
        self
    }

    /// Fails unless this is the status, and the body a sentence with these words.
    #[track_caller]
    pub(crate) fn refuses(self, status: u16, words: &str) -> Self {
        let reply = self.is(status);
        let json = reply.json();
        let sentence = json["error"].as_str().unwrap();
        assert!(sentence.contains(words), "{sentence}");
        assert!(sentence.ends_with('.'), "{sentence}");
        reply
    }
}

/// A body in chunks.
fn chunks(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        let text = String::from_utf8(line).ok()?;
        let length = usize::from_str_radix(text.trim(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend(&chunk[..length]);
    }
}

/// A body in parts, with its content type.
pub(crate) fn multipart(parts: &[(&str, &str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (part, file, content) in parts {
        let head = format!(
            "--limit\r\ncontent-disposition: form-data; name=\"{part}\"; filename=\"{file}\"\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--limit--\r\n");
    ("multipart/form-data; boundary=limit".to_owned(), body)
}
