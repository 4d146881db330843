//! One file over HTTP: resumed where an earlier attempt stopped, limited in size, checked against
//! its digest, and put in place only when it is right.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
    /// How often a connection is tried without getting on; each attempt continues where the one
    /// before stopped. It counts anew when at least [`WORTHWHILE`] bytes have arrived.
    pub attempts: u32,
    /// How often a connection is tried for one file in all, however far each attempt gets.
    pub attempts_in_all: u32,
    /// Pause before the second attempt, and that much more before each further one.
    pub pause: Duration,
    /// Time to connect and, separately, until the answer begins.
    pub connect: Duration,
    /// Longest time without a byte, and the window over which the speed is taken.
    pub silence: Duration,
    /// Bytes a second that must arrive on average over each window of that length; a server that
    /// sends a byte now and then would otherwise never be given up.
    pub least_speed: u64,
}

/// An attempt that brings this many bytes got on.
pub const WORTHWHILE: u64 = 1 << 18;

impl Default for Connection {
    fn default() -> Self {
        Self {
            proxy: None,
            attempts: 4,
            attempts_in_all: 64,
            pause: Duration::from_secs(2),
            connect: Duration::from_secs(30),
            silence: Duration::from_mins(1),
            // At this speed CLIP's gigabyte takes a day and a half.
            least_speed: 8 << 10,
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
    /// What lies where the incomplete file or the lock belongs is not a file of this program.
    #[error(
        "{} is {found}, where a plain file of this program's own belongs; remove it and pull again.",
        path.display()
    )]
    NotOurs {
        /// What lies there.
        path: PathBuf,
        /// What it is.
        found: &'static str,
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
    if let Err(failure) = fetch_all(request, connection, progress, &mut part) {
        if part.length == 0 {
            part.discard();
        }
        return Err(failure);
    }
    let mut found = part.digest()?;
    if found != request.sha256 && part.pieced {
        // What lay here before was the beginning of something else, or the published file changed
        // between two attempts.
        progress.note("The pieces of the download do not fit together; starting again.");
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
    let mut in_all = 1;
    loop {
        match fetch(&agent, request, connection, progress, part) {
            Err(failure)
                if failure.is_passing()
                    && attempt < connection.attempts
                    && in_all < connection.attempts_in_all =>
            {
                in_all += 1;
                // While it gets further the attempts count anew, however often a bad line breaks.
                if part.length >= furthest.saturating_add(WORTHWHILE) {
                    attempt = 1;
                    furthest = part.length;
                } else {
                    attempt += 1;
                }
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
    connection: &Connection,
    progress: &dyn Progress,
    part: &mut Part,
) -> Result<(), Failure> {
    let url = request.url.to_owned();
    // Compressed on the way, the positions of a range would mean something else.
    let mut call = agent
        .get(request.url)
        .config()
        // A redirection may not lead from an encrypted connection to one that is not.
        .https_only(is_https(request.url))
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
        206 if range_start(&response) == Some(part.length) => part.pieced |= part.length > 0,
        // An earlier call ended between the last byte and the renaming.
        416 if part.length > 0 && part.digest()? == request.sha256 => return Ok(()),
        // Another range than the one asked for, or none left: the part is of no use.
        206 | 416 if part.length > 0 => {
            part.restart()?;
            return fetch(agent, request, connection, progress, part);
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
    receive(response.into_body(), request, connection, progress, part)?;
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
    connection: &Connection,
    progress: &dyn Progress,
    part: &mut Part,
) -> Result<(), Failure> {
    let mut reader = body.into_with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 1 << 18];
    let mut window = Window::new(connection);
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
        if let Some(reason) = window.too_slow(count as u64, Instant::now()) {
            return Err(Failure::BrokenOff {
                received: part.length,
                reason,
            });
        }
    }
}

/// Watches the average speed over one stretch of time after another.
struct Window {
    length: Duration,
    least_speed: u64,
    began: Instant,
    bytes: u64,
}

impl Window {
    fn new(connection: &Connection) -> Self {
        Self {
            length: connection.silence,
            least_speed: connection.least_speed,
            began: Instant::now(),
            bytes: 0,
        }
    }

    /// Takes note of bytes that have arrived; says what is wrong if a whole window brought too few.
    fn too_slow(&mut self, bytes: u64, now: Instant) -> Option<String> {
        self.bytes = self.bytes.saturating_add(bytes);
        let passed = now.duration_since(self.began);
        if passed < self.length {
            return None;
        }
        let least = passed.as_secs_f64() * self.least_speed as f64;
        if (self.bytes as f64) < least {
            return Some(format!(
                "fewer than {} bytes a second arrived for {} seconds",
                self.least_speed,
                passed.as_secs()
            ));
        }
        (self.began, self.bytes) = (now, 0);
        None
    }
}

/// Whether an address asks for an encrypted connection; schemes may be in capitals (RFC 3986, 3.1).
#[must_use]
pub fn is_https(url: &str) -> bool {
    url.split_once("://")
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https"))
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

/// Opens a file of this program's own in the cache for reading and writing, creating it where there
/// is none. Neither follows a link that somebody put there nor waits for the other end of a FIFO.
pub(super) fn open_plain(path: &Path) -> Result<File, Failure> {
    let not_ours = |found| Failure::NotOurs {
        path: path.to_owned(),
        found,
    };
    if let Ok(metadata) = path.symlink_metadata() {
        if metadata.is_symlink() {
            return Err(not_ours("a link"));
        }
        if !metadata.is_file() {
            return Err(not_ours("no plain file"));
        }
    }
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // Should it be replaced between the look above and here.
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let failed = |source| Failure::File {
        path: path.to_owned(),
        source,
    };
    let file = options.open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(not_ours("no plain file"));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&metadata) > 1 {
        // Writing to it would write to the other names as well.
        return Err(not_ours("a second name of another file"));
    }
    Ok(file)
}

/// The incomplete file.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
    /// Whether what is here came in more than one answer.
    pieced: bool,
}

impl Part {
    fn open(destination: &Path) -> Result<Self, Failure> {
        let mut path = destination.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let mut file = open_plain(&path)?;
        match file.seek(SeekFrom::End(0)) {
            Ok(length) => Ok(Self {
                path,
                file,
                length,
                pieced: false,
            }),
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
        self.pieced = false;
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
