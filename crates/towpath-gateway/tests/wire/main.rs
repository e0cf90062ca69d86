//! The gateway on the wire: clients and origins in one thread, dialogues with what everybody sees (see
//! `towpath_testkit`). Each test is named after what must hold and the row of the threat model that it proves.

mod gateway;
mod hello;
mod strict;
mod talk;
mod verdict;

mod accept;
mod coding;
mod corpus;
mod decoding;
mod drain;
mod expect;
mod faults;
mod framing;
mod grpc_web;
mod h2;
mod h2_faults;
mod h2_origin;
mod h2_tunnel;
mod headers;
mod leave;
mod limits;
mod passthrough;
mod pool;
mod proxy_protocol;
mod proxying;
mod retries;
mod reuse;
mod routes;
mod slow;
mod target;
mod tcp;
mod tls;
mod upgrade;
mod websocket;
