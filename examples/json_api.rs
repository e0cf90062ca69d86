---
[dependencies]
serde = { version = "1", features = ["derive"] }
towpath.features = ["postgres"]
---
//! A JSON API over PostgreSQL. `curl 127.0.0.1:3000/users -d '{"name": "Ada", "age": 36}'` makes a user,
//! `curl 127.0.0.1:3000/users` lists them; `curl --max-time 1 127.0.0.1:3000/sleep` takes its query along when it goes.

use serde::{Deserialize, Serialize};
use towpath::Ctx;
use towpath::http::{self, Failure, IntoResponse, Json, Request, Response, Router, StatusCode};
use towpath::postgres::{Database, Row};

const TABLE: &str = "create table if not exists users (name text primary key, age int not null)";

#[derive(Serialize, Deserialize)]
struct User {
    name: String,
    age: i32,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self { name: row.get("name"), age: row.get("age") }
    }
}

fn router(database: &Database) -> Router {
    let db = database.clone();
    let create = async move |ctx: &Ctx, mut request: Request| -> Result<Response, Failure> {
        let user: User = request.json().await?;
        let sql = "insert into users (name, age) values ($1, $2)";
        match db.execute(ctx, sql, &[&user.name, &user.age]).await {
            Err(error) if error.is_unique_violation() => {
                Err(Failure::new(StatusCode::CONFLICT, "the name is taken"))
            }
            inserted => inserted.map(|_| (StatusCode::CREATED, Json(user)).into_response()).map_err(Failure::from),
        }
    };
    let db = database.clone();
    let find = async move |ctx: &Ctx, request: Request| -> Result<Option<Json<User>>, Failure> {
        let name = request.param("name").unwrap_or_default();
        let row = db.query_opt(ctx, "select * from users where name = $1", &[&name]).await?;
        Ok(row.map(|row| Json(row.into())))
    };
    let db = database.clone();
    let list = async move |ctx: &Ctx, _: Request| -> Result<Json<Vec<User>>, Failure> {
        let rows = db.query(ctx, "select * from users order by name limit 100", &[]).await?;
        Ok(Json(rows.into_iter().map(User::from).collect()))
    };
    let db = database.clone();
    let sleep = async move |ctx: &Ctx, _: Request| -> Result<&str, Failure> {
        db.execute(ctx, "select pg_sleep(30)", &[]).await?;
        Ok("awake\n")
    };
    Router::new().post("/users", create).get("/users", list).get("/users/{name}", find).get("/sleep", sleep)
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| {
        let url = std::env::var("DATABASE_URL");
        let database = Database::new(url.as_deref().unwrap_or("postgres://postgres@127.0.0.1/postgres"))?;
        database.execute(&ctx, TABLE, &[]).await?;
        Ok(http::serve(&ctx, "127.0.0.1:3000", router(&database)).await?)
    })
}
