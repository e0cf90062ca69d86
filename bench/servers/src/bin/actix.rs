//! actix-web, as its guide has it.

use actix_web::{App, HttpServer, Responder, get};

#[get("/13")]
async fn hello() -> impl Responder {
    "Hello, World!"
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_default();
    HttpServer::new(|| App::new().service(hello)).bind(address)?.run().await
}
