//! One file over HTTP: resumed where an earlier attempt stopped, limited in size, checked against
//! its digest, and put in place only when it is right.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::{Response, header};
use ureq::{Agent, Body, Proxy};

/// What to fetch and where to put it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The address.
    pub url: &'a str,
    /// Where the file goes; while it is incomplete it is called the same with `.part` behind.
    pub destination: &'a Path,
    /// The digest it must have, in lowercase hexadecimal digits.
    pub sha256: &'a str,
    /// No more bytes than this are accepted.
    pub size_limit: u64,
}

/// How servers are reached, and with how much patience.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
    /// How often a connection is tried; each attempt continues where the one before stopped.
    pub attempts: u32,
    /// Pause before the second attempt, and that much more before each further one.
    pub pause: Duration,
    /// Time to connect and, separately, until the answer begins.
    pub connect: Duration,
    /// Longest time without a byte.
    pub silence: Duration,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            proxy: None,
            attempts: 4,
            pause: Duration::from_secs(2),
            connect: Duration::from_secs(30),
            silence: Duration::from_mins(1),
        }
    }
}

/// Is told how a download goes.
pub trait Progress {
    /// A file is begun, of this many bytes where known, of which `done` are here already.
    fn begin(&self, name: &str, done: u64, total: Option<u64>);
    /// Further bytes have arrived.
    fn advance(&self, bytes: u64);
    /// Something worth telling.
    fn note(&self, message: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn note(&self, _: &str) {}
}

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// It would have to be fetched, which `--offline` forbids.
    #[error("The file is not in the cache, and --offline forbids fetching it.")]
    Offline,
    /// The server answers that it has not got the file, or that it will not give it.
    #[error("The server answered {url} with status {status}.")]
    Status {
        /// The address asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server answers with a page for people, such as a drive that asks for confirmation or
    /// says that a file was downloaded too often today.
    #[error("The server answered {url} with a web page instead of the file.")]
    Page {
        /// The address asked.
        url: String,
    },
    /// There is more of it than the published file has.
    #[error("The server sends more than {limit} bytes from {url}; this is not the published file.")]
    TooLarge {
        /// The address asked.
        url: String,
        /// The most bytes accepted.
        limit: u64,
    },
    /// The connection ended, or was silent for too long, before the file was complete.
    #[error(
        "The connection broke off after {received} bytes ({reason}); what has arrived is kept \
             for the next attempt."
    )]
    BrokenOff {
        /// Bytes here so far.
        received: u64,
        /// How it ended.
        reason: String,
    },
    /// No connection, or no answer that is HTTP.
    #[error("{url} cannot be reached: {reason}.")]
    Unreachable {
        /// The address asked.
        url: String,
        /// What the network says.
        reason: String,
        /// Whether trying again might help.
        passing: bool,
    },
    /// A whole file is here, but another one.
    #[error("The file's SHA-256 digest is {found}; this is not the published file.")]
    WrongDigest {
        /// The digest of what is here.
        found: String,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Failure {
    /// Whether trying again might help.
    fn is_passing(&self) -> bool {
        match self {
            Self::BrokenOff { .. } => true,
            Self::Unreachable { passing, .. } => *passing,
            // 408 request timeout, 425 too early, 429 too many requests.
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }
}

/// Fetches a file.
///
/// # Errors
/// When it cannot be had, is not what was asked for, or cannot be written. The destination is
/// untouched then; what arrived before a broken connection stays beside it for the next call.
pub fn download(
    request: &Request<'_>,
    connection: &Connection,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let mut part = Part::open(request.destination)?;
    let resumed = part.length > 0;
    if let Err(failure) = fetch_all(request, connection, progress, &mut part) {
        if part.length == 0 {
            part.discard();
        }
        return Err(failure);
    }
    let mut found = part.digest()?;
    if found != request.sha256 && resumed {
        // What lay here before was the beginning of something else.
        progress.note("What an earlier download left does not fit; starting again.");
        part.restart()?;
        fetch_all(request, connection, progress, &mut part)?;
        found = part.digest()?;
    }
    if found == request.sha256 {
        part.finish(request.destination)
    } else {
        part.discard();
        Err(Failure::WrongDigest { found })
    }
}

/// Attempts until the part file is complete.
fn fetch_all(
    request: &Request<'_>,
    connection: &Connection,
    progress: &dyn Progress,
    part: &mut Part,
) -> Result<(), Failure> {
    let agent = agent(connection);
    let mut attempt = 1;
    let mut furthest = part.length;
    loop {
        match fetch(&agent, request, progress, part) {
            Err(failure) if failure.is_passing() && attempt < connection.attempts => {
                // While it gets further the attempts count anew, however often a bad line breaks.
                attempt = if part.length > furthest {
                    1
                } else {
                    attempt + 1
                };
                furthest = furthest.max(part.length);
                progress.note(&format!("{failure} Trying again."));
                std::thread::sleep(connection.pause * attempt);
            }
            outcome => return outcome,
        }
    }
}

fn agent(connection: &Connection) -> Agent {
    Agent::config_builder()
        .proxy(connection.proxy.clone())
        .http_status_as_error(false)
        .timeout_connect(Some(connection.connect))
        .timeout_recv_response(Some(connection.connect))
        .timeout_per_read(Some(connection.silence))
        .user_agent(concat!("vcp-clip/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// One attempt.
fn fetch(
    agent: &Agent,
    request: &Request<'_>,
    progress: &dyn Progress,
    part: &mut Part,
) -> Result<(), Failure> {
    let url = request.url.to_owned();
    // Compressed on the way, the positions of a range would mean something else.
    let mut call = agent
        .get(request.url)
        .config()
        // A redirection may not lead from an encrypted connection to one that is not.
        .https_only(request.url.starts_with("https://"))
        .build()
        .header(header::ACCEPT_ENCODING, "identity");
    if part.length > 0 {
        call = call.header(header::RANGE, format!("bytes={}-", part.length));
    }
    let response = call.call().map_err(|error| Failure::Unreachable {
        url: url.clone(),
        reason: error.to_string(),
        passing: matches!(error, ureq::Error::Io(_) | ureq::Error::Timeout(_)),
    })?;
    match response.status().as_u16() {
        200 => part.restart()?,
        206 if range_start(&response) == Some(part.length) => {}
        // An earlier call ended between the last byte and the renaming.
        416 if part.length > 0 && part.digest()? == request.sha256 => return Ok(()),
        // Another range than the one asked for, or none left: the part is of no use.
        206 | 416 if part.length > 0 => {
            part.restart()?;
            return fetch(agent, request, progress, part);
        }
        status => return Err(Failure::Status { url, status }),
    }
    if is_page(&response) {
        return Err(Failure::Page { url });
    }
    let total = content_length(&response).map(|length| length.saturating_add(part.length));
    if total.is_some_and(|total| total > request.size_limit) {
        return Err(Failure::TooLarge {
            url,
            limit: request.size_limit,
        });
    }
    let name = request
        .destination
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    progress.begin(&name, part.length, total);
    receive(response.into_body(), request, progress, part)?;
    match total {
        Some(total) if part.length < total => Err(Failure::BrokenOff {
            received: part.length,
            reason: format!("{total} were announced"),
        }),
        _ => Ok(()),
    }
}

/// Appends the body to the part file.
fn receive(
    body: Body,
    request: &Request<'_>,
    progress: &dyn Progress,
    part: &mut Part,
) -> Result<(), Failure> {
    let mut reader = body.into_with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(Failure::BrokenOff {
                    received: part.length,
                    reason: error.to_string(),
                });
            }
        };
        let bytes = &buffer[..count];
        if part.length == 0 && looks_like_page(bytes) {
            return Err(Failure::Page {
                url: request.url.to_owned(),
            });
        }
        if part.length + count as u64 > request.size_limit {
            part.restart()?;
            return Err(Failure::TooLarge {
                url: request.url.to_owned(),
                limit: request.size_limit,
            });
        }
        part.append(bytes)?;
        progress.advance(count as u64);
    }
}

fn is_page(response: &Response<Body>) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("text/html")
        })
}

/// Neither an archive nor a safetensors file begins like this.
fn looks_like_page(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.trim_ascii_start().first() == Some(&b'<')
}

fn content_length(response: &Response<Body>) -> Option<u64> {
    response
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Where the range in the answer begins.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let value = response
        .headers()
        .get(header::CONTENT_RANGE)?
        .to_str()
        .ok()?;
    let (start, _) = value
        .trim()
        .strip_prefix("bytes")?
        .trim_start()
        .split_once('-')?;
    start.parse().ok()
}

/// The SHA-256 digest of a file in lowercase hexadecimal digits.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256(path: &Path) -> io::Result<String> {
    vcp_checkpoint::sha256_of_file(path).map_err(io::Error::other)
}

/// The incomplete file.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Part {
    fn open(destination: &Path) -> Result<Self, Failure> {
        let mut path = destination.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let open = || {
            let mut file = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)?;
            let length = file.seek(SeekFrom::End(0))?;
            Ok((file, length))
        };
        match open() {
            Ok((file, length)) => Ok(Self { path, file, length }),
            Err(source) => Err(Failure::File { path, source }),
        }
    }

    fn failed<T>(&self, outcome: io::Result<T>) -> Result<T, Failure> {
        outcome.map_err(|source| Failure::File {
            path: self.path.clone(),
            source,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let outcome = self.file.write_all(bytes);
        self.failed(outcome)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), Failure> {
        let outcome = self.file.set_len(0).and_then(|()| self.file.rewind());
        self.failed(outcome)?;
        self.length = 0;
        Ok(())
    }

    fn digest(&self) -> Result<String, Failure> {
        self.failed(sha256(&self.path))
    }

    fn finish(self, destination: &Path) -> Result<(), Failure> {
        self.failed(self.file.sync_all())?;
        let Self { path, file, .. } = self;
        drop(file);
        std::fs::rename(&path, destination).map_err(|source| Failure::File {
            path: destination.to_owned(),
            source,
        })
    }

    fn discard(self) {
        let Self { path, file, .. } = self;
        drop(file);
        // If it stays, its digest is found wrong again and it is fetched anew.
        let _ = std::fs::remove_file(path);
    }
}
