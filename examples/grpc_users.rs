---
[dependencies]
towpath.features = ["grpc"]
---
//! Users over gRPC; what can be called stands in `user.proto`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use towpath::chan::{Broadcaster, broadcast};
use towpath::grpc::{self, BoxStream, Grpc, ReflectionBuilder, Request, Response, Routes, Status};
use towpath::http::Server;
use users::users_server::{Users, UsersServer};
use users::{User, UserName, WatchUsers};

grpc::proto!("user.proto");

struct Known {
    users: Mutex<BTreeMap<String, User>>,
    news: Broadcaster<User>,
}

impl Known {
    fn users(&self) -> MutexGuard<'_, BTreeMap<String, User>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[grpc::async_trait]
impl Users for Known {
    async fn create(&self, request: Request<User>) -> Result<Response<User>, Status> {
        let user = request.into_inner();
        let mut users = self.users();
        if users.contains_key(&user.name) {
            return Err(Status::already_exists(user.name));
        }
        users.insert(user.name.clone(), user.clone());
        // Nobody may be watching.
        let _ = self.news.send(user.clone());
        Ok(Response::new(user))
    }

    async fn get(&self, request: Request<UserName>) -> Result<Response<User>, Status> {
        let UserName { name } = request.into_inner();
        let user = self.users().get(&name).cloned();
        user.map(Response::new).ok_or_else(|| Status::not_found(name))
    }

    async fn watch(&self, _: Request<WatchUsers>) -> Result<Response<BoxStream<User>>, Status> {
        let users = self.users();
        let (known, mut news) = (users.clone(), self.news.listen());
        Ok(Response::new(grpc::stream(async move |out| {
            for user in known.into_values() {
                out.send(user).await?;
            }
            while let Some(user) = news.recv().await.map_err(|_| Status::data_loss("too slow"))? {
                out.send(user).await?;
            }
            Ok(())
        })))
    }
}

fn main() -> std::process::ExitCode {
    towpath::run(async |ctx| {
        let users = UsersServer::new(Known { users: Mutex::default(), news: broadcast(256) });
        let (health, health_service) = grpc::health_reporter();
        health.set_serving::<UsersServer<Known>>().await;
        let reflection =
            ReflectionBuilder::configure().register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET).build_v1()?;
        let services = Routes::new(users).add_service(health_service).add_service(reflection);
        Ok(Server::new(Grpc::new(services)).h2c(true).listen("127.0.0.1:50051").serve(&ctx).await?)
    })
}
