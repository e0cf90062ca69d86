//! A JSON API that keeps users in memory:
//! `curl 127.0.0.1:3000/users -d '{"name": "Ada", "age": 36}'`, then `curl 127.0.0.1:3000/users/0`.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use towpath::Ctx;
use towpath::http::{self, Failure, IntoResponse, Json, Request, Response, Router, StatusCode};

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
    age: u8,
}

fn main() -> std::process::ExitCode {
    let users = Arc::new(Mutex::new(Vec::<User>::new()));
    let known = Arc::clone(&users);
    let create = async move |_: &Ctx, mut request: Request| -> Result<Response, Failure> {
        let user: User = request.json().await?;
        let mut users = users.lock().unwrap_or_else(PoisonError::into_inner);
        users.push(user);
        let place = format!("/users/{}", users.len() - 1);
        Ok((StatusCode::CREATED, Json(users.last())).into_response().with_header("Location", place))
    };
    let find = async move |_: &Ctx, request: Request| -> Result<Option<Json<User>>, Failure> {
        let number: usize =
            request.param("number").unwrap_or_default().parse().map_err(Failure::bad_request)?;
        Ok(known.lock().unwrap_or_else(PoisonError::into_inner).get(number).cloned().map(Json))
    };
    let router = Router::new().post("/users", create).get("/users/{number}", find);
    towpath::run(async |ctx| Ok(http::serve(&ctx, "127.0.0.1:3000", router).await?))
}
