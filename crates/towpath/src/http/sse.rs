//! Server-sent events (the HTML standard, §9.2).

use std::time::Duration;

use ::http::StatusCode;

use super::body::{Body, BodySender};
use super::response::Response;

/// A stream of events for an `EventSource` of a browser, and the response that carries it.
///
/// ```
/// use towpath::Ctx;
/// use towpath::http::{Event, Events, Request, Response};
///
/// async fn ticks(ctx: &Ctx, _request: Request) -> Response {
///     let (events, response) = Events::channel(8);
///     // Detached, as the stream outlives the handler and its deadline.
///     let _ = ctx.detach_for(std::time::Duration::from_secs(3600), "ticks", async move |ctx: Ctx| {
///         for number in 0.. {
///             let event = Event::new(number.to_string()).id(number.to_string());
///             // An error says that the client has gone.
///             if ctx.run(events.send(event)).await.is_ok_and(|sent| sent.is_ok()) {
///                 continue;
///             }
///             break;
///         }
///     });
///     response
/// }
/// ```
#[derive(Debug)]
pub struct Events(BodySender);

/// Nobody listens any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NobodyListens;

impl std::fmt::Display for NobodyListens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client of an event stream has gone")
    }
}

impl std::error::Error for NobodyListens {}

impl Events {
    /// A stream, of which `capacity` events may be on their way, and its response.
    pub fn channel(capacity: usize) -> (Self, Response) {
        let (sender, body) = Body::channel(capacity);
        let response = Response::new(StatusCode::OK)
            .with_header("Content-Type", "text/event-stream")
            // Nothing between here and the page may keep events back.
            .with_header("Cache-Control", "no-store")
            .with_header("X-Accel-Buffering", "no")
            .with_body(body);
        (Self(sender), response)
    }

    /// Sends an event, once there is room. *Cancel-safe*: one that was not sent is lost with the call.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub async fn send(&self, event: Event) -> Result<(), NobodyListens> {
        self.0.send(event.0).await.map_err(|_| NobodyListens)
    }

    /// Sends what no page sees, so that proxies do not take the stream for idle; each 15 s is usual. *Cancel-safe*.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub async fn keep_alive(&self) -> Result<(), NobodyListens> {
        self.0.send(":\n\n").await.map_err(|_| NobodyListens)
    }

    /// Ends once nobody listens any more. *Cancel-safe*.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// One event.
///
/// ```
/// let event = towpath::http::Event::new("one\ntwo").name("news").id("7");
/// assert_eq!(event.to_string(), "data: one\ndata: two\nevent: news\nid: 7\n\n");
/// ```
#[derive(Clone, Debug)]
pub struct Event(String);

impl Event {
    /// An event with this data, of as many lines as it has.
    pub fn new(data: impl AsRef<str>) -> Self {
        let mut text = String::new();
        // A line may end in any of three ways, and each would end the field.
        for line in data.as_ref().replace("\r\n", "\n").split(['\n', '\r']) {
            text.push_str("data: ");
            text.push_str(line);
            text.push('\n');
        }
        text.push('\n');
        Self(text)
    }

    /// The same with a name, `message` without one. Line ends in it are spaces.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.with("event", name)
    }

    /// The same with the number that a client names when it comes back, as `Last-Event-ID`. Line ends in it are spaces.
    #[must_use]
    pub fn id(self, id: impl AsRef<str>) -> Self {
        self.with("id", id.as_ref())
    }

    /// The same, and clients wait this long before they come back.
    #[must_use]
    pub fn retry(self, span: Duration) -> Self {
        let span = span.as_millis().to_string();
        self.with("retry", &span)
    }

    fn with(mut self, field: &str, value: &str) -> Self {
        self.0.pop();
        self.0.push_str(&format!("{field}: {}\n\n", value.replace(['\n', '\r', '\0'], " ")));
        self
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_begin_another_field() {
        let event = Event::new("a\rb\r\nc").name("x\ndata: y").id("1\0");
        assert_eq!(event.to_string(), "data: a\ndata: b\ndata: c\nevent: x data: y\nid: 1 \n\n");
    }
}
