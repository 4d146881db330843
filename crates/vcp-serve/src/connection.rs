//! Connections: those that are served, with a limit of patience for readers, and those that are one too many.

use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

/// Bytes per second that a client has to take of an answer.
const SLOWEST: u64 = 16 << 10;

/// Bytes that the system keeps of an answer until they are taken. With more, which systems choose by themselves, it would
/// be told only after a long while that a slow client takes something; and many slow clients would take much memory.
const UNTAKEN: usize = 128 << 10;

/// A connection that fails when the other side takes too little of an answer for some time.
pub(crate) struct Patient {
    stream: TcpStream,
    patience: Duration,
    slow: Option<Slow>,
}

/// How slowly an answer, or several, are taken: only the time counts in which the other side is waited for.
struct Slow {
    /// Since when nothing could be written.
    since: Option<Instant>,
    /// How long that took before, altogether.
    waited: Duration,
    /// Bytes that were taken meanwhile.
    taken: u64,
    /// Comes when patience ends, in a wait.
    end: Pin<Box<Sleep>>,
}

impl Patient {
    pub(crate) fn new(stream: TcpStream, patience: Duration) -> Self {
        // Where it cannot be set, patience is less exact.
        let _ = SockRef::from(&stream).set_send_buffer_size(UNTAKEN);
        Self {
            stream,
            patience,
            slow: None,
        }
    }

    /// What is made of the outcome of an attempt to write.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let patience = self.patience;
        if let Poll::Ready(outcome) = outcome {
            if let (Some(slow), Ok(taken)) = (&mut self.slow, &outcome) {
                slow.waited += slow.since.take().map_or(Duration::ZERO, |it| it.elapsed());
                slow.taken += *taken as u64;
                if slow.taken as f64 >= SLOWEST as f64 * patience.as_secs_f64() {
                    self.slow = None;
                }
            }
            return Poll::Ready(outcome);
        }
        let slow = self.slow.get_or_insert_with(|| Slow {
            since: None,
            waited: Duration::ZERO,
            taken: 0,
            end: Box::pin(sleep(patience)),
        });
        if slow.since.is_none() {
            let now = Instant::now();
            slow.since = Some(now);
            let left = patience.saturating_sub(slow.waited);
            slow.end.as_mut().reset(now + left);
        }
        let end = slow.end.as_mut().poll(context);
        end.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What a connection that is one too many is told, whatever it asked.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\n\
    content-length: 72\r\n\
    retry-after: 2\r\n\
    connection: close\r\n\
    \r\n\
    {\"error\":\"The server has as many connections open as it allows itself.\"}";

/// Tells a client that there are too many, and waits a moment for it to have heard.
pub(crate) async fn turn_away(mut stream: TcpStream) {
    let polite = async {
        stream.write_all(TOO_MANY).await?;
        stream.shutdown().await?;
        // A connection that is closed with something unread is reset, and the answer may be lost.
        let mut unread = [0; 4096];
        while stream.read(&mut unread).await? > 0 {}
        io::Result::Ok(())
    };
    // Whoever does not hear is let go all the same.
    let _ = timeout(Duration::from_secs(1), polite).await;
}

/// Tells a client the same without waiting: one that has not sent anything hears it.
pub(crate) fn dismiss(stream: TcpStream) {
    // A new connection takes this much at once.
    let _ = stream
        .into_std()
        .and_then(|mut stream| stream.write_all(TOO_MANY));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_right() {
        let text = std::str::from_utf8(TOO_MANY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
