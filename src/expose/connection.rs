//! How does a connection behave below HTTP? Sends at once, and ends when its reader stands still.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready as ready_or_return};
use std::time::Duration;

use axum_server::accept::Accept;
use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};

use crate::expose::own::{OwnMetrics, Refusal};

/// Prepares accepted connections. An acceptor for TLS goes around it.
#[derive(Debug, Clone)]
pub(crate) struct Acceptor {
    /// How long a reader may take nothing at all of an answer.
    pub(crate) send_timeout: Duration,
    /// Where TLS is spoken: how long a client may take for its first byte. It is looked at: who speaks plain HTTP is told so.
    pub(crate) first_byte_timeout: Option<Duration>,
    /// How many connections there may be.
    pub(crate) places: Places,
}

/// Open files that are not for clients: AWS, Kubernetes, Alertmanager, configuration, state.
const KEPT_FILES: u64 = 128;

/// A place for each connection, over all addresses.
///
/// Without a bound of our own the limit of open files would be one, and at that limit nothing could be asked of AWS any more.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    own: Arc<OwnMetrics>,
}

impl Places {
    /// As many as wanted, or as the process may have files open.
    pub(crate) fn new(wanted: usize, own: Arc<OwnMetrics>) -> Self {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // Half of them where there are few.
        let possible = usize::try_from(files.saturating_sub(KEPT_FILES).max(files / 2)).unwrap_or(usize::MAX);
        if possible < wanted {
            tracing::warn!(wanted, possible, open_files = files, "fewer connections than --web.max-connections are possible");
        }
        Self { free: Arc::new(Semaphore::new(wanted.min(possible).min(Semaphore::MAX_PERMITS))), own }
    }

    fn take(&self) -> io::Result<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            self.own.refused(Refusal::ConnectionLimit);
            refusal("as many connections as allowed are there already")
        })
    }
}

/// A connection that ended on purpose, ours or the client's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(&'static str);

fn refusal(why: &'static str) -> io::Error {
    io::Error::other(Refused(why))
}

/// Whether the connection was closed on purpose, and counted already if it is to be.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Refused>())
}

impl<S: Send + 'static> Accept<TcpStream, S> for Acceptor {
    type Stream = Connection;
    type Service = S;
    type Future = BoxFuture<'static, io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Self { send_timeout, first_byte_timeout, places } = self.clone();
        async move {
            let place = places.take()?;
            // An answer comes in two chunks: without TCP_NODELAY the second waits for the first one's acknowledgement, up to 40 ms.
            stream.set_nodelay(true)?;
            let stream = match first_byte_timeout {
                Some(limit) => timeout(limit, expect_handshake(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??,
                None => stream,
            };
            Ok((Connection { stream, send_timeout, stalled: None, _place: place }, service))
        }
        .boxed()
    }
}

const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n\
    This port speaks HTTPS, but the request came as plain HTTP.\n";

/// Tells a client that speaks plain HTTP what is wrong. What a handshake begins with is no letter.
async fn expect_handshake(mut stream: TcpStream) -> io::Result<TcpStream> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        // As a probe of the port does; no handshake has failed.
        return Err(refusal("the client hung up without a word"));
    }
    if first[0].is_ascii_uppercase() {
        // What has come is read, else the system would throw away the answer together with it.
        let _ = stream.try_read(&mut [0; 4096]);
        stream.write_all(NOT_TLS).await?;
        stream.shutdown().await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP where TLS is spoken"));
    }
    Ok(stream)
}

/// A connection that gives up on a reader that takes nothing for a while.
///
/// The kernel tries for a quarter of an hour. Until then such a reader would hold a scrape's place and its bytes; a few dozen of them,
/// behind a broken network, would lock everybody out.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    send_timeout: Duration,
    /// Runs while the last write found no room.
    stalled: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn watch(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeout = self.send_timeout;
        ready_or_return!(self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout))).as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watch(written, context)
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair(send_timeout: Duration) -> (Connection, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(!stream.nodelay().unwrap(), "the system's default, else the tests prove nothing");
        let places = Places::new(1, OwnMetrics::new());
        let (connection, ()) = Acceptor { send_timeout, first_byte_timeout: None, places }.accept(stream, ()).await.unwrap();
        (connection, client)
    }

    #[tokio::test]
    async fn an_accepted_connection_sends_at_once() {
        let (connection, _client) = pair(Duration::from_secs(60)).await;
        assert!(connection.stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_given_up() {
        let (mut connection, _client) = pair(Duration::from_millis(50)).await;
        let error = connection.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_reader_that_takes_its_time_gets_everything() {
        const SIZE: usize = 32 << 20;
        let (mut connection, mut client) = pair(Duration::from_secs(60)).await;
        let sent = tokio::spawn(async move { connection.write_all(&vec![7; SIZE]).await });
        let mut received = 0;
        let mut buffer = vec![0; 100_000];
        while received < SIZE {
            received += client.read(&mut buffer).await.unwrap();
        }
        sent.await.unwrap().unwrap();
    }
}
