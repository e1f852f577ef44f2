//! How does a connection behave below HTTP? Sends at once, and ends when its reader stands still.

use std::future::{Ready, ready};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready as ready_or_return};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Prepares accepted connections. An acceptor for TLS goes around it.
#[derive(Debug, Clone)]
pub(crate) struct Acceptor {
    /// How long a reader may take nothing at all of an answer.
    pub(crate) send_timeout: Duration,
}

impl<S> Accept<TcpStream, S> for Acceptor {
    type Stream = Connection;
    type Service = S;
    type Future = Ready<io::Result<(Connection, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // An answer comes in two chunks: without TCP_NODELAY the second waits for the first one's acknowledgement, up to 40 ms.
        ready(stream.set_nodelay(true).map(|()| (Connection { stream, send_timeout: self.send_timeout, stalled: None }, service)))
    }
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
        let (connection, ()) = Acceptor { send_timeout }.accept(stream, ()).await.unwrap();
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
