//! The HTTP/2 codec: scripts of frames and of what the caller does in, transcripts out.

mod corpus;
mod dialogues;
mod differential;
mod downgrade;
mod every_byte;
mod faults;
mod floods;
mod flow;
#[expect(unreachable_pub, reason = "a module of the testkit, which has users of its own")]
#[path = "../../../towpath-testkit/src/frames.rs"]
mod frames;
mod heads;
mod hpack;
mod script;
mod splits;
