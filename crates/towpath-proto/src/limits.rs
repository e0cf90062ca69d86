//! The limits of the wire, each with the reason for its number.

/// Largest header block, counted as name + value + [`FIELD_OVERHEAD_BYTES`] for each field, and once more as
/// raw bytes. 64 KiB holds the largest cookies and tokens seen in practice and is what a connection may cost
/// us at most (T13, T14).
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Charged for each field beside its bytes, because a field costs memory even when it is empty. The number is
/// the one HTTP/2 and HTTP/3 use (RFC 9113 §6.5.2), so that one limit means the same in every version.
pub const FIELD_OVERHEAD_BYTES: usize = 32;

/// Most fields in a head or in trailers (T14). Browsers send about 20, proxies add about 10.
pub const FIELDS_COUNT_MAX: usize = 100;

/// No configuration raises the field count above this: fields are parsed into an array on the stack, 32 bytes
/// each, and 4 KiB of stack is what that may take.
pub const FIELDS_COUNT_CEILING: usize = 128;

/// Fields whose memory an idle connection keeps: more than browsers send, and 640 bytes. A connection that
/// once had a hundred fields does not hold theirs for its whole life.
pub const FIELDS_KEPT_COUNT: usize = 32;

/// Longest line of a head without its line end, the request line included (T04, T08). RFC 9112 §3 asks for
/// 8,000 at least.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Longest run of chunk extensions on one chunk line (T04). Nobody is known to use them; attackers are.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 256;

/// Most hexadecimal digits in a chunk size: sixteen fill a `u64`.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 16;

/// Most interim (1xx) responses to one request (T20). 100 and 103 come once or twice; the caller counts them.
pub const INTERIM_COUNT_MAX: usize = 8;

/// Longest host name: what DNS can carry (RFC 1035 §2.3.4), and longer than any address literal.
pub const HOST_BYTES_MAX: usize = 255;

/// Longest PROXY line of version 1, its CR LF included: what the specification's longest line takes
/// (proxy-protocol.txt §2.1).
pub const PROXY_V1_BYTES_MAX: usize = 107;

/// Largest PROXY header of version 2. It has to fit into one segment (proxy-protocol.txt §2.2), so honest ones
/// stay below 1.5 KiB. 4 KiB is room enough, and a page is what a connection may cost before it said whose it
/// is.
pub const PROXY_V2_BYTES_MAX: usize = 4 * 1024;

/// Longest unique id in a PROXY header (proxy-protocol.txt §2.2.5).
pub const PROXY_UNIQUE_ID_BYTES_MAX: usize = 128;

/// Most bytes on the wire from the first record to the end of a ClientHello, record headers included (T32), so
/// that it is also the most a sniffing connection may have to keep. Post-quantum hellos take about 1.8 KiB; the
/// rest is for large tickets and many extensions, since to refuse what the origin would take is an outage.
pub const CLIENT_HELLO_BYTES_MAX: usize = 64 * 1024;

/// Longest content of a TLS record that is not encrypted (RFC 8446 §5.1).
pub const TLS_RECORD_BYTES_MAX: usize = 1 << 14;

/// Longest server name: what DNS can carry when written as text without the last dot (RFC 1035 §2.3.4).
pub const SERVER_NAME_BYTES_MAX: usize = 253;

/// Longest label of a server name (RFC 1035 §2.3.4).
pub const SERVER_NAME_LABEL_BYTES_MAX: usize = 63;

/// Largest WebSocket frame (T54). Clients and servers in use send messages as one frame, and few messages are
/// larger; a frame is not kept, so that this bounds what a peer may commit us to and not our memory.
pub const WS_FRAME_BYTES_MAX: u64 = 1024 * 1024;

/// Largest WebSocket message, counted after inflating (T46, T54). Whoever joins the pieces of a message may need
/// this much for each connection.
pub const WS_MESSAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Most bytes that a WebSocket message may inflate to for each compressed byte (T46). Text reaches 10 to 20;
/// deflate itself can reach 1,032 (RFC 1951 §3.2.5: 258 bytes in two bits).
pub const WS_INFLATE_RATIO_MAX: u64 = 100;

/// What a compressed WebSocket message may inflate to before the ratio is judged. A message that is still in the
/// window of 32 KiB comes again as a few bytes, and honest ones do; two windows cost little.
pub const WS_INFLATE_FREE_BYTES: u64 = 64 * 1024;

/// Most bytes that one step of the WebSocket decoder inflates: what a caller that empties its vector needs for
/// all its connections together, and a bounded piece of work (T46).
pub const WS_INFLATE_STEP_BYTES: usize = 16 * 1024;

/// Most deflate streams one behind the other in a WebSocket message (RFC 7692 §7.2.3.4). A sender ends one for a
/// message, or for a frame; an empty one is two bytes and costs a reset of the inflater (T46).
pub const WS_INFLATE_STREAMS_COUNT_MAX: u32 = 256;

/// Frames of a WebSocket message that are not charged (T54): the most that a text of this many characters, one in
/// each frame, would need.
pub const WS_FRAGMENTS_FREE_COUNT: u64 = 256;

/// Mean payload of the frames beyond [`WS_FRAGMENTS_FREE_COUNT`], so that a message that goes on for ever in empty
/// frames ends, while one of 4 MiB in pieces of 64 bytes, the smallest that test suites use, is taken (T54).
pub const WS_FRAGMENT_BYTES_MEAN_MIN: u64 = 64;

/// Most WebSocket control frames of a peer in [`WS_CONTROL_INTERVAL_MS`] (T54). Libraries send one in 20 to 30 s;
/// applications that measure the round trip come to a few a second.
pub const WS_CONTROL_COUNT_MAX: u32 = 100;

/// The interval that [`WS_CONTROL_COUNT_MAX`] is for, in milliseconds.
pub const WS_CONTROL_INTERVAL_MS: u64 = 10_000;

/// Size of the table with which HTTP/2 peers shorten their fields: the one every peer begins with (RFC 9113 §6.5.2), so
/// that it need not be agreed on.
pub const H2_TABLE_BYTES_MAX: usize = 4096;

/// Largest frame of HTTP/2 that is accepted: the least a receiver has to accept (RFC 9113 §4.2). Larger ones would only
/// make streams wait longer for one another.
pub const H2_FRAME_BYTES_MAX: usize = 1 << 14;

/// Most frames that one header block may come in (T13). Four full ones hold [`HEAD_BYTES_MAX`]; sixteen leave room for
/// peers that cut at 4 KiB.
pub const H2_BLOCK_FRAMES_COUNT_MAX: usize = 16;

/// Most streams a peer may have at work at the same time (T11). RFC 9113 §6.5.2 recommends no less than 100.
pub const H2_STREAMS_COUNT_MAX: usize = 100;

/// Most bytes that the heads of all streams with a place may have together, counted as a head is (T14). A hundred heads
/// of 10 KiB, or sixteen of the largest kind: browsers stay below 4 KiB.
pub const H2_HEADS_BYTES_MAX: usize = 1 << 20;

/// Most streams of a connection that end in a reset within [`H2_RESETS_INTERVAL_MS`], whoever sent it, if the peer is
/// the cause (T11, T12). A browser that leaves a page resets as many as it had, once.
pub const H2_RESETS_COUNT_MAX: u32 = 100;

/// The interval of [`H2_RESETS_COUNT_MAX`], in milliseconds.
pub const H2_RESETS_INTERVAL_MS: u64 = 10_000;

/// Most frames without work within [`H2_WORKLESS_INTERVAL_MS`] that no frame with work has paid for (T16). A peer with
/// nothing to do pings every few seconds.
pub const H2_WORKLESS_COUNT_MAX: u32 = 200;

/// The interval of [`H2_WORKLESS_COUNT_MAX`], in milliseconds.
pub const H2_WORKLESS_INTERVAL_MS: u64 = 1_000;

/// Most frames without work that frames with work pay for in advance. Some clients open windows twice for every 4 KiB,
/// so that this is what they send for 20 MiB on the way to them.
pub const H2_CREDIT_COUNT_MAX: u32 = 10_000;

/// A WINDOW_UPDATE that leaves a window below this, in bytes, is a frame without work that nothing pays for: it asks for
/// a frame that is mostly head (T16, CVE-2019-9511). Peers wait until half a window is free.
pub const H2_WINDOW_BYTES_MIN: usize = 256;

/// Most answers to PING, SETTINGS and faults that are owed at the same time (T16): a peer has to read before it may ask
/// for more.
pub const H2_REPLIES_COUNT_MAX: usize = 128;

/// Streams we have reset whose late frames are dropped in silence. A peer that sends on an older one has had time to
/// see the reset. One KiB, and none before the first reset.
pub const H2_CUT_STREAMS_COUNT_MAX: usize = 256;

/// Receive window of a stream: what every connection begins with (RFC 9113 §6.9.2). The caller raises it where a
/// stream turns out to be fast and its bytes can be stored.
pub const H2_STREAM_WINDOW_BYTES: u32 = 65_535;

/// Receive window of a connection: what its fast streams share, and the most of their bytes that a caller may have to
/// hold. 1 MiB is 80 Mb/s at 100 ms.
pub const H2_CONNECTION_WINDOW_BYTES: u32 = 1 << 20;

/// Largest body after its content coding was taken off (T46). Uploads that are coded are JSON and logs; the number is the
/// one of the threat model.
pub const DECODED_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Most bytes that a coded body may become for each coded byte, as the mean so far (T46). Text reaches 10 to 20, logs 50;
/// deflate can reach 1,032, brotli and zstd a hundred times that.
pub const DECODED_RATIO_MAX: u64 = 100;

/// What a coded body may become before its ratio is judged: a small one that is all blanks does no harm.
pub const DECODED_FREE_BYTES: u64 = 64 * 1024;

/// Most bytes that one step of a content decoder makes: a bounded piece of work, and of memory (T46).
pub const DECODED_STEP_BYTES: usize = 16 * 1024;

/// Most gzip members in a body (RFC 1952 §2.2). An empty one is 20 bytes and costs a new inflater of 46 KiB (T46). Tools
/// that compress in parallel make blocks of 64 KiB and more, so that this is [`DECODED_BODY_BYTES_MAX`] of them.
pub const DECODED_MEMBERS_COUNT_MAX: u32 = 1024;

/// Largest window of a zstd frame, as the number of its bits: 8 MiB, which every sender over HTTP has to keep to
/// (RFC 9659 §3).
pub const DECODED_ZSTD_WINDOW_BITS_MAX: u32 = 23;

/// What a decoder allows one head, and one trailer section, to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole section: name + value + 32 per field, and the same bound on the raw bytes. Default
    /// [`HEAD_BYTES_MAX`].
    pub head_bytes_max: usize,
    /// Number of fields. Default [`FIELDS_COUNT_MAX`]; values above [`FIELDS_COUNT_CEILING`] mean that
    /// ceiling.
    pub fields_count_max: usize,
    /// Bytes of one line without its line end. Default [`LINE_BYTES_MAX`].
    pub line_bytes_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            head_bytes_max: HEAD_BYTES_MAX,
            fields_count_max: FIELDS_COUNT_MAX,
            line_bytes_max: LINE_BYTES_MAX,
        }
    }
}

impl HeadLimits {
    /// The field count that is enforced, which never exceeds [`FIELDS_COUNT_CEILING`].
    pub(crate) fn fields_count(&self) -> usize {
        self.fields_count_max.min(FIELDS_COUNT_CEILING)
    }
}

/// What a decoder allows a WebSocket message to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WsLimits {
    /// Bytes of one data frame on the wire. Default [`WS_FRAME_BYTES_MAX`].
    pub frame_bytes_max: u64,
    /// Bytes of one message, on the wire and after inflating. Default [`WS_MESSAGE_BYTES_MAX`].
    pub message_bytes_max: u64,
    /// Bytes that a compressed byte may inflate to, as the mean of a message. Default [`WS_INFLATE_RATIO_MAX`];
    /// judged beyond [`WS_INFLATE_FREE_BYTES`].
    pub inflate_ratio_max: u64,
    /// Frames of one message before their mean size is judged. Default [`WS_FRAGMENTS_FREE_COUNT`].
    pub fragments_free_count: u64,
}

impl Default for WsLimits {
    fn default() -> Self {
        Self {
            frame_bytes_max: WS_FRAME_BYTES_MAX,
            message_bytes_max: WS_MESSAGE_BYTES_MAX,
            inflate_ratio_max: WS_INFLATE_RATIO_MAX,
            fragments_free_count: WS_FRAGMENTS_FREE_COUNT,
        }
    }
}
