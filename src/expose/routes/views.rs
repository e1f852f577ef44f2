//! How many views are made at the same time, and how much of them may wait for its readers?
//!
//! A view of a large picture takes tens of milliseconds and megabytes. A client that asks for one and hangs up, or asks and does not
//! read, must cost neither: else a few hundred of them would take all the memory there is.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use super::Chunks;

/// How many views are made at the same time; others wait. No more than leave the scrapes a core.
const MAKING: usize = 2;

/// KiB of views that were made and are not sent yet, over all clients. One that is larger is sent when nothing else waits.
const UNREAD: usize = 32 << 10;

/// Who makes a view, and what of them is on its way.
#[derive(Debug)]
pub(super) struct Views {
    making: Arc<Semaphore>,
    unread: Arc<Semaphore>,
}

impl Views {
    pub(super) fn new() -> Self {
        Self { making: Arc::new(Semaphore::new(MAKING)), unread: Arc::new(Semaphore::new(UNREAD)) }
    }

    /// Makes a view, off the async threads.
    pub(super) async fn make<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let turn = Arc::clone(&self.making).acquire_owned().await.expect("never closed");
        spawn_blocking(move || {
            let made = work();
            // The turn goes with the work: a client that hangs up does not stop it.
            drop(turn);
            made
        })
        .await
    }

    /// The body of an answer, for as long as it is on its way; `None` while too much is.
    pub(super) fn send(&self, mut view: Bytes) -> Option<Body> {
        let size = view.len().div_ceil(1 << 10).min(UNREAD);
        let permit = Arc::clone(&self.unread).try_acquire_many_owned(u32::try_from(size).ok()?).ok()?;
        // The body ends with its last byte, so it is there until nearly all before that was sent.
        let end = view.split_off(view.len().saturating_sub(1));
        Some(Body::new(Chunks { chunks: [end, view], _permits: (permit, None) }))
    }
}

/// What is told instead of a view while too much is on its way.
pub(super) const TOO_MUCH: &str = "too many answers wait for readers that are slow; try again";

/// The seconds after which to try again.
pub(super) const AGAIN: &str = "5";

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use axum::body::HttpBody;
    use http_body_util::BodyExt as _;

    use super::*;

    fn view(bytes: usize) -> Bytes {
        vec![7; bytes].into()
    }

    #[tokio::test]
    async fn what_waits_for_slow_readers_is_bounded() {
        let views = Views::new();
        let waiting: Vec<_> = (0..4).map(|_| views.send(view(8 << 20)).unwrap()).collect();
        assert!(views.send(view(1)).is_none(), "others would be made for nothing but to wait");
        drop(waiting);
        assert!(views.send(view(1)).is_some(), "their readers have gone");
    }

    #[tokio::test]
    async fn a_view_counts_until_its_last_byte_is_taken() {
        let views = Views::new();
        let mut body = views.send(view(UNREAD << 10)).unwrap();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), (UNREAD << 10) - 1);
        assert!(!HttpBody::is_end_stream(&body) && views.send(view(1)).is_none(), "the connection holds all of it");
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1);
        assert!(HttpBody::is_end_stream(&body), "so it is dropped");
        drop(body);
        assert!(views.send(view(1)).is_some());
    }

    #[tokio::test]
    async fn the_largest_view_is_sent_when_nothing_else_waits_and_an_empty_one_always() {
        let views = Views::new();
        let whole = views.send(view((UNREAD + 1) << 10)).unwrap();
        assert!(views.send(view(1)).is_none());
        assert!(views.send(view(0)).unwrap().frame().await.is_none());
        assert_eq!(whole.collect().await.unwrap().to_bytes().len(), (UNREAD + 1) << 10);
    }

    #[test]
    fn who_hangs_up_does_not_let_another_view_be_made_beside_its_own() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let views = Views::new();
            let mut releases = Vec::new();
            for _ in 0..MAKING {
                // It goes on for as long as this test wants.
                let (release, released) = mpsc::channel::<()>();
                releases.push(release);
                tokio::select! {
                    biased;
                    _ = views.make(move || released.recv()) => panic!("nobody has released it"),
                    () = tokio::task::yield_now() => {}
                }
            }
            assert_eq!(views.making.available_permits(), 0, "nobody waits for them any more, and they go on");
            drop(releases);
            let all = u32::try_from(MAKING).unwrap();
            assert!(views.making.acquire_many(all).await.is_ok());
        });
    }
}
