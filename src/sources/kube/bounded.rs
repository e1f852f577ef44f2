//! Does this answer of the API server end? A layer around the client that reads no more of one than a true answer has.
//!
//! An answer is kept until it is whole, and of a watch each line. Whatever stands before the API server may be broken, and what it
//! sends without an end would be kept until there is no memory left.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::TryFutureExt;
use futures::future::MapOk;
use http::{Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use tower::{BoxError, Layer, Service};

/// Bytes of an answer, or of a line of a watch. A page of a list holds 500 objects, of some kilobytes each.
const LARGEST: usize = 128 << 20;

/// It would be larger.
#[derive(Debug, thiserror::Error)]
#[error("the answer is larger than {} MiB, which none is", .0 >> 20)]
pub(super) struct TooLarge(usize);

/// Puts [`BoundedService`] around a service.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoundedAnswers;

impl<S> Layer<S> for BoundedAnswers {
    type Service = BoundedService<S>;

    fn layer(&self, inner: S) -> BoundedService<S> {
        BoundedService(inner)
    }
}

/// Answers with bounded bodies.
#[derive(Debug, Clone)]
pub(super) struct BoundedService<S>(S);

type Bound<B> = Box<dyn FnOnce(Response<B>) -> Response<Bounded<B>> + Send>;

impl<S, A, B> Service<Request<A>> for BoundedService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: 'static,
{
    type Response = Response<Bounded<B>>;
    type Error = S::Error;
    type Future = MapOk<S::Future, Bound<B>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let by_lines = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        let bound: Bound<B> = Box::new(move |answer| answer.map(|body| Bounded { body, by_lines, read: 0, largest: LARGEST }));
        self.0.call(request).map_ok(bound)
    }
}

/// A body that ends with an error instead of without an end.
#[derive(Debug)]
pub(super) struct Bounded<B> {
    body: B,
    /// Each line for itself.
    by_lines: bool,
    /// Bytes so far.
    read: usize,
    largest: usize,
}

impl<B> Bounded<B> {
    fn count(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        match bytes.iter().rposition(|byte| *byte == b'\n').filter(|_| self.by_lines) {
            Some(end) => self.read = bytes.len() - end - 1,
            None => self.read += bytes.len(),
        }
        if self.read > self.largest { Err(TooLarge(self.largest)) } else { Ok(()) }
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        Pin::new(&mut this.body).poll_frame(context).map(|frame| {
            frame.map(|frame| {
                let frame = frame.map_err(Into::into)?;
                if let Some(bytes) = frame.data_ref() {
                    this.count(bytes)?;
                }
                Ok(frame)
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    /// Reads pieces of so many bytes each, the last of them a line's end or not; tells whether it comes to the end.
    async fn read(by_lines: bool, pieces: &[(usize, bool)]) -> Result<usize, String> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|(length, ends)| {
                let mut bytes = vec![b'x'; *length];
                if *ends {
                    bytes[length - 1] = b'\n';
                }
                Ok::<_, BoxError>(Frame::data(Bytes::from(bytes)))
            })
            .collect();
        let body = Bounded { body: StreamBody::new(futures::stream::iter(pieces)), by_lines, read: 0, largest: 100 };
        body.collect().await.map(|all| all.to_bytes().len()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_list_ends_at_the_limit_whatever_lines_it_has() {
        assert_eq!(read(false, &[(50, true), (50, false)]).await, Ok(100));
        assert!(read(false, &[(50, true), (51, false)]).await.unwrap_err().contains("larger"));
    }

    #[tokio::test]
    async fn a_watch_goes_on_for_ever_and_a_line_of_it_does_not() {
        assert_eq!(read(true, &[(60, true); 50]).await, Ok(3000));
        assert_eq!(read(true, &[(60, false), (40, true), (100, false)]).await, Ok(200));
        assert!(read(true, &[(60, true), (60, false), (41, false)]).await.is_err());
    }
}
