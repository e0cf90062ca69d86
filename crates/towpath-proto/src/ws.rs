//! WebSocket: frames (RFC 6455) with permessage-deflate (RFC 7692), for both roles.
//!
//! Sections without a number of their own document are those of RFC 6455. The opening handshake is read from a
//! head that the HTTP codec has judged; after it, bytes go through one [`Decoder`] and one [`Encoder`] for each
//! side of a connection.
//!
//! ```text
//!   judged request head  --> Opening::read   --> key, origin, subprotocols, extensions --> answer in our words
//!   judged response head --> Answer::read    --> subprotocol, permessage-deflate
//!   bytes of a peer      --> Decoder         --> MessageStart, Data | Inflated, MessageEnd, Ping, Pong, Close
//!   messages             --> Encoder         --> frames, masked with the caller's key, compressed if agreed
//!   Close in, Close out  --> Closing         --> who may still send, when the connection ends
//!   bytes that pass on   --> Follower        --> where frames end, what breaks a rule or a limit
//! ```
//!
//! Data is reported as ranges of the input, unmasked in place; nothing holds a frame. What is remembered of a
//! message is its kind, its size, up to three bytes of a character, and, if permessage-deflate was agreed, the
//! inflater's state while it is needed. A mask key is the caller's, because chance is an argument here.

pub use close::{Close, CloseCode, Closing, REASON_BYTES_MAX};
pub use control::{Control, ControlMeter};
pub use decode::{Decoder, Event, Step};
pub use encode::{COMPRESS_BYTES_MIN, ControlTooLong, Encoder};
pub use error::{Fault, WsError};
pub use follow::{Follower, Pass, Passed};
pub use handshake::{
    ACCEPT_BYTES, Answer, HandshakeError, KEY_BYTES, Opening, accept_value, agreed_extensions, is_key,
    key_value, origin_of,
};
pub use mask::{Mask, MaskKey};
pub use negotiate::{Deflate, DeflatePolicy, Extensions, WindowBits};
pub use origin::{Origin, OriginFault, Origins};

mod announced;
mod close;
mod control;
mod decode;
mod deflate;
mod encode;
mod error;
mod extensions;
mod follow;
mod handshake;
mod head;
mod inflate;
mod mask;
mod negotiate;
mod origin;
mod utf8;

/// Which end of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We took the handshake: what we receive is masked, what we send is not (§5.1).
    Server,
    /// We made the handshake: what we send is masked, what we receive is not (§5.1).
    Client,
}

/// What a message carries (§5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8. A piece of it may end inside a character.
    Text,
    /// Any bytes.
    Binary,
}
