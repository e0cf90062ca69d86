//! The kit's server on the wire: dialogues of clients with it in one thread, under a virtual clock. Each test is named
//! after what must hold and the row that it proves.

mod server;

mod bodies;
mod drain;
mod files;
mod gone;
mod heads;
mod life;
mod limits;
mod slow;
