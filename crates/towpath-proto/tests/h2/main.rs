//! The HTTP/2 codec: scripts of frames and of what the caller does in, transcripts out.

mod hpack;
