//! The HTTP/1 codec from outside: bytes in, a transcript out.

mod corpus;
mod differential;
mod every_byte;
mod framing;
mod heads;
mod reference;
mod responses;
mod seed;
mod splits;
mod transcript;
