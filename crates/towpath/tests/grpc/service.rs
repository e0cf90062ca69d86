//! A service with a method of every kind, whose messages are bytes. Written by hand, as no compiler of protocols is needed
//! for that.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::{Request as HttpRequest, Response as HttpResponse};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::tokio_stream::{Stream, StreamExt as _};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service;
use towpath::Ctx;

/// Echoes, and remembers why calls were given up.
#[derive(Clone, Default)]
pub(crate) struct Echo(Arc<Mutex<Vec<String>>>);

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// Says why its call has ended, when it is dropped.
struct Witness(Echo, Ctx);

impl Drop for Witness {
    fn drop(&mut self) {
        if let Some(cause) = self.1.err() {
            self.0.0.lock().unwrap().push(cause.name().to_owned());
        }
    }
}

impl Echo {
    pub(crate) fn causes(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn witness<T>(&self, request: &Request<T>) -> Witness {
        Witness(self.clone(), request.extensions().get::<Ctx>().unwrap().clone())
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<HttpRequest<Body>> for Echo {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<HttpResponse<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let mut grpc = Grpc::new(BytesCodec);
            Ok(match path.strip_prefix("/test.Echo/").unwrap_or_default() {
                method @ ("Unary" | "Fail" | "Slow" | "Panic") => {
                    grpc.unary(Unary(echo, Manner::of(method)), request).await
                }
                "Count" => grpc.client_streaming(Count, request).await,
                method @ ("Repeat" | "SlowStream" | "PanicStream") => {
                    grpc.server_streaming(Repeat(echo, Manner::of(method)), request).await
                }
                "Chat" => grpc.streaming(Chat, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// How a method ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Well,
    Fail,
    Slow,
    Panic,
}

impl Manner {
    fn of(method: &str) -> Self {
        match method {
            "Fail" => Self::Fail,
            "Slow" | "SlowStream" => Self::Slow,
            "Panic" | "PanicStream" => Self::Panic,
            _ => Self::Well,
        }
    }
}

struct Unary(Echo, Manner);

impl Service<Request<Bytes>> for Unary {
    type Response = Response<Bytes>;
    type Error = Status;
    type Future = Boxed<Result<Response<Bytes>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (witness, manner) = (self.0.witness(&request), self.1);
        Box::pin(async move {
            let _witness = witness;
            match manner {
                Manner::Well => {}
                Manner::Fail => return Err(Status::failed_precondition("as it was told")),
                Manner::Slow => std::future::pending::<()>().await,
                Manner::Panic => panic!("at the disco"),
            }
            let word = request.metadata().get("x-word").cloned();
            let mut response = Response::new(request.into_inner());
            word.into_iter().for_each(|word| drop(response.metadata_mut().insert("x-word", word)));
            Ok(response)
        })
    }
}

struct Count;

impl Service<Request<Streaming<Bytes>>> for Count {
    type Response = Response<Bytes>;
    type Error = Status;
    type Future = Boxed<Result<Response<Bytes>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move {
            let (mut messages, mut bytes, mut count) = (request.into_inner(), 0, 0);
            while let Some(message) = messages.message().await? {
                (count, bytes) = (count + 1, bytes + message.len());
            }
            Ok(Response::new(format!("{count} messages, {bytes} bytes").into()))
        })
    }
}

struct Repeat(Echo, Manner);

impl Service<Request<Bytes>> for Repeat {
    type Response = Response<Messages>;
    type Error = Status;
    type Future = Boxed<Result<Response<Messages>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (witness, manner) = (self.0.witness(&request), self.1);
        Box::pin(async move {
            let message = request.into_inner();
            let ten = tonic::codegen::tokio_stream::iter((0..10).map(move |_| Ok(message.clone())));
            let end: Messages = match manner {
                Manner::Slow => Box::pin(tonic::codegen::tokio_stream::pending()),
                Manner::Panic => {
                    Box::pin(tonic::codegen::tokio_stream::once(()).map(|()| panic!("at the disco")))
                }
                Manner::Well | Manner::Fail => Box::pin(tonic::codegen::tokio_stream::empty()),
            };
            let messages: Messages = Box::pin(ten.chain(end).map(move |message| {
                let _held = &witness;
                message
            }));
            Ok(Response::new(messages))
        })
    }
}

struct Chat;

impl Service<Request<Streaming<Bytes>>> for Chat {
    type Response = Response<Streaming<Bytes>>;
    type Error = Status;
    type Future = Boxed<Result<Response<Streaming<Bytes>>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move { Ok(Response::new(request.into_inner())) })
    }
}

/// Messages as they are.
#[derive(Clone, Copy)]
struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}
