//! A chat: open http://127.0.0.1:8080/ in two windows.

use towpath::chan::{Broadcaster, broadcast};
use towpath::http::{self, Html, Request, Router, ws};
use towpath::{Ctx, http::ws::Message};

const PAGE: &str = include_str!("chat.html");

async fn member(ctx: &Ctx, socket: &mut ws::Socket, room: &Broadcaster<String>) -> Result<(), ws::Error> {
    let mut news = room.listen();
    socket.send(ctx, "Hello Server").await?;
    loop {
        towpath::select!(ctx,
            said = socket.recv(ctx) => match said? {
                Some(Message::Text(text)) => drop(room.send(text)),
                Some(Message::Binary(_)) => {}
                None => return Ok(()),
            },
            heard = news.recv() => match heard {
                Ok(Some(text)) => socket.send(ctx, text).await?,
                Ok(None) => return Ok(()),
                Err(_) => return socket.close(ctx, ws::CloseCode::TRY_AGAIN, "too slow").await,
            },
        )?;
    }
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| {
        let room = broadcast::<String>(256);
        let chat = async move |_: &Ctx, request: Request| {
            let room = room.clone();
            ws::accept(request, async move |ctx: &Ctx, socket: &mut ws::Socket| {
                member(ctx, socket, &room).await
            })
        };
        let router = Router::new().get("/{$}", async |_: &Ctx, _| Html(PAGE)).get("/chat", chat);
        Ok(http::serve(&ctx, "127.0.0.1:8080", router).await?)
    })
}
