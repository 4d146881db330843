//! A small HTTP/1.1 server on the loopback interface that answers as a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The target as it stands in the request line: path and query, or a whole address when the
    /// client takes this for a proxy.
    pub(crate) target: String,
    /// First byte of the range asked for.
    pub(crate) range: Option<usize>,
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// The file, from the range asked for.
    File(Vec<u8>),
    /// The whole file, whatever range was asked for.
    WholeFile(Vec<u8>),
    /// The file, from the range asked for, but the connection ends after so many bytes.
    Cut(Vec<u8>, usize),
    /// The same without saying how long the file is.
    Unannounced(Vec<u8>),
    /// A page for people.
    Page(&'static str),
    /// A body with this content type.
    Typed(&'static str, Vec<u8>),
    /// Only a status.
    Status(u16),
    /// Go there.
    Redirect(String),
    /// A length far beyond what is sent.
    Announce(u64),
    /// Nothing, for a while.
    Silence(Duration),
    /// The file, a byte each time this has passed.
    Drip(Vec<u8>, Duration),
}

/// A running server; it ends with the test program.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request, told how many came before it.
    pub(crate) fn start(answer: impl Fn(usize, &Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let Some(request) = read(&stream) else {
                    continue;
                };
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    seen.len() - 1
                };
                // A client may hang up early; that is its right.
                let _ = send(stream, &request, answer(number, &request));
            }
        });
        Self { url, requests }
    }

    /// Always the same answer.
    pub(crate) fn always(reply: Reply) -> Self {
        Self::start(move |_, _| reply.clone())
    }

    /// These answers in turn, the last one for all that follow.
    pub(crate) fn in_turn(replies: Vec<Reply>) -> Self {
        Self::start(move |number, _| replies[number.min(replies.len() - 1)].clone())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The ranges asked for, in order.
    pub(crate) fn ranges(&self) -> Vec<Option<usize>> {
        self.requests()
            .iter()
            .map(|request| request.range)
            .collect()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let target = first.split(' ').nth(1)?.to_owned();
    let mut range = None;
    for line in lines {
        let line = line.ok()?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("range: bytes=") {
            range = value.trim_end_matches('-').parse().ok();
        }
    }
    Some(Request { target, range })
}

fn send(mut stream: TcpStream, request: &Request, reply: Reply) -> std::io::Result<()> {
    let mut head = |status: &str, headers: &str| {
        write!(
            stream,
            "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n"
        )
    };
    let length = |body: &[u8]| format!("Content-Length: {}\r\n", body.len());
    match reply {
        Reply::File(file) => {
            let limit = file.len();
            send(stream, request, Reply::Cut(file, limit))
        }
        Reply::Cut(file, limit) => {
            let body = match request.range {
                Some(start) if start >= file.len() => {
                    return head("416 Range Not Satisfiable", "Content-Length: 0\r\n");
                }
                Some(start) => {
                    let (last, all) = (file.len() - 1, file.len());
                    let range = format!("Content-Range: bytes {start}-{last}/{all}\r\n");
                    head("206 Partial Content", &(range + &length(&file[start..])))?;
                    &file[start..]
                }
                None => {
                    head("200 OK", &length(&file))?;
                    &file[..]
                }
            };
            stream.write_all(&body[..limit.min(body.len())])
        }
        Reply::WholeFile(file) => {
            head("200 OK", &length(&file))?;
            stream.write_all(&file)
        }
        Reply::Unannounced(file) => {
            head("200 OK", "")?;
            stream.write_all(&file)
        }
        Reply::Page(page) => {
            head(
                "200 OK",
                &format!(
                    "Content-Type: text/html; charset=utf-8\r\n{}",
                    length(page.as_bytes())
                ),
            )?;
            stream.write_all(page.as_bytes())
        }
        Reply::Typed(content_type, body) => {
            head(
                "200 OK",
                &format!("Content-Type: {content_type}\r\n{}", length(&body)),
            )?;
            stream.write_all(&body)
        }
        Reply::Status(status) => head(&format!("{status} Because"), "Content-Length: 0\r\n"),
        Reply::Redirect(place) => head(
            "302 Found",
            &format!("Location: {place}\r\nContent-Length: 0\r\n"),
        ),
        Reply::Announce(bytes) => {
            head("200 OK", &format!("Content-Length: {bytes}\r\n"))?;
            stream.write_all(b"PK")
        }
        Reply::Silence(duration) => {
            head("200 OK", "Content-Length: 100\r\n")?;
            stream.write_all(b"PK")?;
            stream.flush()?;
            std::thread::sleep(duration);
            Ok(())
        }
        Reply::Drip(file, pause) => {
            head("200 OK", &length(&file))?;
            for byte in file.chunks(1) {
                stream.write_all(byte)?;
                stream.flush()?;
                std::thread::sleep(pause);
            }
            Ok(())
        }
    }
}
