//! Why the gateway answers for itself: stable reason codes, and the one place that gives each its status and its
//! `Proxy-Status` (RFC 9209).

use std::fmt;

/// On whose account a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's message or behaviour.
    Downstream,
    /// Towpath itself: its configuration, limits or state.
    Gateway,
    /// The origin or the way to it.
    Upstream,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $side:ident, $status:literal, $proxy:literal;)+) => {
        /// Why a request or a connection was refused or failed. The codes are never renamed: they are the same in the body, the
        /// access log, the metric label, `Proxy-Status` and `explain`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of [`Reason::index`].
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Whose fault it is.
            pub const fn side(self) -> Side {
                match self { $(Self::$variant => Side::$side,)+ }
            }

            /// The status the client gets, if it still can get one; 0 for what ends a connection before or without
            /// HTTP.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }

            /// The error type of RFC 9209 §2.3; `-` where there is no answer to put it into.
            pub const fn proxy_error(self) -> &'static str {
                match self { $(Self::$variant => $proxy,)+ }
            }
        }
    };
}

reasons! {
    /// Framing that two readers could read differently (T01–T04).
    BadRequestFraming = "bad_request_framing", Downstream, 400, "http_request_error";
    /// A chunked body or a head that uses a lone LF or CR as a line end (T04).
    BadLineEnd = "bad_line_end", Downstream, 400, "http_request_error";
    /// A request line that is not method, target and version.
    BadRequestLine = "bad_request_line", Downstream, 400, "http_request_error";
    /// A trailer field that may not be one.
    BadTrailer = "bad_trailer", Downstream, 400, "http_request_error";
    /// `Upgrade` that names no protocol, or stands with a body on GET (T06).
    BadUpgrade = "bad_upgrade", Downstream, 400, "http_request_error";
    /// The connection ended inside a request.
    RequestTruncated = "request_truncated", Downstream, 400, "http_request_error";
    /// More fields than allowed.
    TooManyHeaders = "too_many_headers", Downstream, 431, "http_request_error";
    /// A request target that is not HTTP.
    BadRequestTarget = "bad_request_target", Downstream, 400, "http_request_error";
    /// `Host` missing, repeated, malformed or different from the target's authority (T10).
    BadHost = "bad_host", Downstream, 400, "http_request_error";
    /// A header or trailer field outside RFC 9110's sets (T08).
    BadHeader = "bad_header", Downstream, 400, "http_request_error";
    /// A path with encoded separators or above the root (T40).
    BadPath = "bad_path", Downstream, 400, "http_request_error";
    /// A version other than HTTP/1.0 and HTTP/1.1.
    UnsupportedVersion = "unsupported_version", Downstream, 505, "http_request_error";
    /// A transfer coding other than `chunked`.
    UnknownTransferCoding = "unknown_transfer_coding", Downstream, 501, "http_request_error";
    /// An expectation other than `100-continue`.
    BadExpectation = "bad_expectation", Downstream, 417, "http_request_error";
    /// A request line over the limit of one line.
    RequestLineTooLong = "request_line_too_long", Downstream, 414, "http_request_error";
    /// A head over its limit of bytes or fields.
    HeaderTooLarge = "header_too_large", Downstream, 431, "http_request_error";
    /// A body over the route's or listener's limit.
    BodyTooLarge = "body_too_large", Downstream, 413, "http_request_error";
    /// A body in a content coding that the route cannot take off.
    UnknownContentCoding = "unknown_content_coding", Downstream, 415, "http_request_error";
    /// A body that is not what its `Content-Encoding` says (T46).
    BadContentCoding = "bad_content_coding", Downstream, 400, "http_request_error";
    /// A body over the route's limit once its content coding is off (T46).
    DecodedBodyTooLarge = "decoded_body_too_large", Downstream, 413, "http_request_error";
    /// A coded body that becomes too many times as large (T46).
    DecodedRatioTooHigh = "decoded_ratio_too_high", Downstream, 413, "http_request_error";
    /// A body of gRPC-Web that should be base64 and is not.
    BadGrpcWebText = "bad_grpc_web_text", Downstream, 400, "http_request_error";
    /// The head did not arrive in time (T39).
    HeaderTimeout = "header_timeout", Downstream, 408, "http_request_error";
    /// The body stopped, or came below the least rate (T39).
    BodyTimeout = "body_timeout", Downstream, 408, "http_request_error";
    /// An upgrade that the route does not list (T06).
    UpgradeRefused = "upgrade_refused", Downstream, 400, "http_request_denied";
    /// A page that the route does not list opens a WebSocket (T54).
    WebSocketOriginRefused = "ws_origin_refused", Gateway, 403, "http_request_denied";
    /// CONNECT, which a reverse proxy does not offer.
    ConnectRefusedMethod = "connect_not_offered", Downstream, 405, "http_request_denied";
    /// The client went away before it had its answer.
    ClientGone = "client_gone", Downstream, 499, "http_request_error";
    /// The client did not take the response in time (T39).
    ClientWriteTimeout = "client_write_timeout", Downstream, 499, "http_response_timeout";
    /// A peer that has to begin with a PROXY header began with something else (T56).
    ProxyHeaderMissing = "proxy_header_missing", Downstream, 0, "-";
    /// A PROXY header over its limit of bytes (T56).
    ProxyHeaderTooLarge = "proxy_header_too_large", Downstream, 0, "-";
    /// A PROXY line that is not one (T56).
    BadProxyHeader = "bad_proxy_header", Downstream, 0, "-";
    /// A PROXY header of a version or command that does not exist (T56).
    BadProxyVersion = "bad_proxy_version", Downstream, 0, "-";
    /// A PROXY header with a family or transport that does not exist (T56).
    BadProxyFamily = "bad_proxy_family", Downstream, 0, "-";
    /// A PROXY header too short for its addresses (T56).
    BadProxyLength = "bad_proxy_length", Downstream, 0, "-";
    /// An attribute of a PROXY header that overflows it, repeats another or cannot be (T56).
    BadProxyTlv = "bad_proxy_tlv", Downstream, 0, "-";
    /// A PROXY header whose checksum is not that of its bytes (T56).
    BadProxyChecksum = "bad_proxy_checksum", Downstream, 0, "-";
    /// The connection ended inside its PROXY header.
    ProxyHeaderTruncated = "proxy_header_truncated", Downstream, 0, "-";
    /// The PROXY header did not arrive in time (T31).
    ProxyHeaderTimeout = "proxy_header_timeout", Downstream, 0, "-";
    /// A passthrough listener got bytes that are no TLS.
    NotTls = "not_tls", Downstream, 0, "-";
    /// A TLS record of another type before the ClientHello was whole.
    UnexpectedTlsRecord = "unexpected_tls_record", Downstream, 0, "-";
    /// A TLS record that is empty, too long or none at all.
    BadTlsRecord = "bad_tls_record", Downstream, 0, "-";
    /// The first TLS message is not a ClientHello.
    NotClientHello = "not_client_hello", Downstream, 0, "-";
    /// A ClientHello over its limit of bytes (T32).
    ClientHelloTooLarge = "client_hello_too_large", Downstream, 0, "-";
    /// A ClientHello with a wrong length or a repeated extension.
    BadClientHello = "bad_client_hello", Downstream, 0, "-";
    /// A ClientHello whose server name is not one DNS name (T32).
    BadServerName = "bad_server_name", Downstream, 0, "-";
    /// The connection ended inside its ClientHello.
    ClientHelloTruncated = "client_hello_truncated", Downstream, 0, "-";
    /// The ClientHello did not arrive in time (T31).
    ClientHelloTimeout = "client_hello_timeout", Downstream, 0, "-";
    /// No TLS version, cipher suite or protocol that the client has as well.
    TlsIncompatible = "tls_incompatible", Downstream, 0, "-";
    /// A TLS message that is malformed, forged or not due.
    BadTlsMessage = "bad_tls_message", Downstream, 0, "-";
    /// The client refused the handshake with an alert, for example because it does not trust the certificate.
    TlsAlert = "tls_alert", Downstream, 0, "-";
    /// The connection ended inside the TLS handshake.
    TlsHandshakeTruncated = "tls_handshake_truncated", Downstream, 0, "-";
    /// More handshakes with an RSA key waited for their signature than can be computed in time (T38).
    TlsSigningOverload = "tls_signing_overload", Downstream, 0, "-";
    /// The TLS handshake did not end in time (T31).
    TlsHandshakeTimeout = "tls_handshake_timeout", Downstream, 0, "-";
    /// The client showed no certificate where one is demanded (T33).
    ClientCertificateMissing = "client_certificate_missing", Downstream, 0, "-";
    /// The client's certificate is expired, of an unknown authority, or none (T33).
    ClientCertificateInvalid = "client_certificate_invalid", Downstream, 0, "-";
    /// The client's certificate has none of the names that are let in (T33).
    ClientCertificateRefused = "client_certificate_refused", Downstream, 0, "-";
    /// The request is for a host that is under another TLS policy than the connection (T35).
    MisdirectedRequest = "misdirected_request", Downstream, 421, "http_request_error";
    /// A connection of HTTP/2 that does not begin with its preface and settings.
    H2BadPreface = "h2_bad_preface", Downstream, 0, "-";
    /// A frame of HTTP/2 with a length or padding that it cannot have.
    H2BadFrameSize = "h2_bad_frame_size", Downstream, 0, "-";
    /// A frame of HTTP/2 that names a stream it cannot name.
    H2BadStream = "h2_bad_stream", Downstream, 0, "-";
    /// A frame on a stream of HTTP/2 that has ended.
    H2StreamClosed = "h2_stream_closed", Downstream, 0, "-";
    /// A header block of HTTP/2 that is interrupted, or continued where none was begun (T13).
    H2BadContinuation = "h2_bad_continuation", Downstream, 0, "-";
    /// A setting of HTTP/2 out of its range.
    H2BadSettings = "h2_bad_settings", Downstream, 0, "-";
    /// A window of HTTP/2 that is exceeded, overflows, or is opened by nothing (T15).
    H2BadWindow = "h2_bad_window", Downstream, 0, "-";
    /// A push, which clients never send.
    H2Push = "h2_push", Downstream, 0, "-";
    /// A GOAWAY of HTTP/2 that takes back an earlier one.
    H2BadGoaway = "h2_bad_goaway", Downstream, 0, "-";
    /// A header block of HTTP/2 that cannot be decoded.
    H2BadCompression = "h2_bad_compression", Downstream, 0, "-";
    /// A header block of HTTP/2 over its limit of bytes or frames (T13).
    H2HeaderBlockTooLarge = "h2_header_block_too_large", Downstream, 0, "-";
    /// Too many streams of HTTP/2 that end in a reset (T11, T12).
    H2TooManyResets = "h2_too_many_resets", Downstream, 0, "-";
    /// Too many frames of HTTP/2 without work (T16).
    H2TooManyFrames = "h2_too_many_frames", Downstream, 0, "-";
    /// Too many answers owed to a client of HTTP/2 that does not read (T16).
    H2TooManyReplies = "h2_too_many_replies", Downstream, 0, "-";
    /// The connection ended inside a frame of HTTP/2, or with requests under way.
    H2Truncated = "h2_truncated", Downstream, 0, "-";
    /// A client of HTTP/2 that did not acknowledge our settings in time (T15).
    H2SettingsTimeout = "h2_settings_timeout", Downstream, 0, "-";
    /// A request of HTTP/2 whose body is not as long as it declared (T17).
    H2BadLength = "h2_bad_length", Downstream, 400, "http_request_error";
    /// Frames of HTTP/2 in an order that no message has.
    H2BadOrder = "h2_bad_order", Downstream, 0, "-";
    /// More streams of HTTP/2 than a connection may have at the same time (T11).
    H2TooManyStreams = "h2_too_many_streams", Downstream, 0, "-";
    /// The heads of all streams of a connection together over their limit (T14).
    H2HeadsTooLarge = "h2_heads_too_large", Downstream, 0, "-";
    /// A pseudo-header field of HTTP/2 that is missing, repeated or cannot be (T17).
    BadPseudoHeader = "bad_pseudo_header", Downstream, 400, "http_request_error";
    /// The client reset a forwarded connection.
    ClientReset = "client_reset", Downstream, 0, "-";
    /// The way to the client failed while its connection was forwarded.
    ClientFailed = "client_failed", Downstream, 0, "-";
    /// A WebSocket frame with a reserved bit or opcode that nothing gives a meaning (T54).
    WebSocketBadFrame = "ws_bad_frame", Downstream, 0, "-";
    /// A WebSocket frame of the client without a mask (T54).
    WebSocketBadMask = "ws_bad_mask", Downstream, 0, "-";
    /// A WebSocket frame whose length is 2^63 or more, or in more bytes than it needs (T54).
    WebSocketBadLength = "ws_bad_length", Downstream, 0, "-";
    /// A WebSocket control frame in pieces, or over 125 bytes.
    WebSocketBadControl = "ws_bad_control", Downstream, 0, "-";
    /// A WebSocket message that continues none, or begins inside another.
    WebSocketBadFragment = "ws_bad_fragment", Downstream, 0, "-";
    /// A WebSocket close frame whose code or reason may not be sent.
    WebSocketBadClose = "ws_bad_close", Downstream, 0, "-";
    /// A WebSocket message over the route's limit (T54).
    WebSocketMessageTooLarge = "ws_message_too_large", Downstream, 0, "-";
    /// A WebSocket message in too many frames for its size (T54).
    WebSocketTooManyFragments = "ws_too_many_fragments", Downstream, 0, "-";
    /// More WebSocket pings and pongs than anybody needs (T54).
    WebSocketControlFlood = "ws_control_flood", Downstream, 0, "-";
    /// More WebSocket messages than the route lets a client send (T54).
    WebSocketMessageRate = "ws_message_rate", Downstream, 0, "-";
    /// The client of a WebSocket answered no ping.
    WebSocketPingTimeout = "ws_ping_timeout", Downstream, 0, "-";
    /// A passthrough without a default has no upstream for clients that name no server.
    NoServerName = "no_server_name", Gateway, 0, "-";
    /// A passthrough has no upstream for the server name.
    UnknownServerName = "unknown_server_name", Gateway, 0, "-";
    /// The client has as many connections open as the listener lets it have.
    AddressLimit = "address_limit", Gateway, 0, "-";
    /// Nothing moved in either direction of a forwarded connection for too long.
    IdleTimeout = "idle_timeout", Gateway, 0, "-";
    /// A forwarded connection was still open at the end of a drain.
    DrainCut = "drain_cut", Gateway, 0, "-";
    /// No route matches.
    NoRoute = "no_route", Gateway, 404, "destination_not_found";
    /// A route matches but for its methods.
    MethodNotAllowed = "method_not_allowed", Gateway, 405, "http_request_denied";
    /// No endpoint is healthy and has a weight.
    NoHealthyEndpoint = "no_healthy_endpoint", Gateway, 503, "destination_unavailable";
    /// No connection of the pool became free in time.
    PoolTimeout = "pool_timeout", Gateway, 503, "connection_limit_reached";
    /// The queue for the pool is full.
    PoolQueueFull = "pool_queue_full", Gateway, 503, "connection_limit_reached";
    /// The process has no file descriptor left for a connection.
    FileLimit = "file_limit", Gateway, 503, "proxy_internal_error";
    /// Towpath is going down and takes no new work.
    Draining = "draining", Gateway, 503, "destination_unavailable";
    /// The route's time for the whole request ran out.
    RequestTimeout = "request_timeout", Gateway, 504, "http_response_timeout";
    /// A fault of Towpath's own; please report it.
    Internal = "internal_error", Gateway, 500, "proxy_internal_error";
    /// No such file.
    FileNotFound = "file_not_found", Gateway, 404, "destination_not_found";
    /// The file may not be read, or a folder has no index.
    FileForbidden = "file_forbidden", Gateway, 403, "http_request_denied";
    /// A FIFO, socket or device.
    FileNotRegular = "file_not_regular", Gateway, 403, "http_request_denied";
    /// The file became shorter while it was sent.
    FileTruncated = "file_truncated", Gateway, 500, "proxy_internal_error";
    /// A range outside the file.
    RangeNotSatisfiable = "range_not_satisfiable", Downstream, 416, "http_request_error";
    /// The origin refused the connection.
    ConnectRefused = "connect_refused", Upstream, 502, "connection_refused";
    /// The origin did not accept in time.
    ConnectTimeout = "connect_timeout", Upstream, 504, "connection_timeout";
    /// The connection failed for another reason, such as no route.
    ConnectFailed = "connect_failed", Upstream, 502, "destination_ip_unroutable";
    /// TLS with the origin failed: its certificate, its name, or an alert of its own.
    UpstreamTlsFailed = "upstream_tls_failed", Upstream, 502, "tls_protocol_error";
    /// The origin closed or reset before a whole response head.
    UpstreamResetBeforeResponse = "upstream_reset_before_response", Upstream, 502, "connection_terminated";
    /// The origin closed or reset inside the response.
    UpstreamResetMidBody = "upstream_reset_mid_body", Upstream, 502, "http_response_incomplete";
    /// The origin sent no response head in time.
    UpstreamTimeout = "upstream_timeout", Upstream, 504, "http_response_timeout";
    /// The origin stopped in the middle of its response.
    UpstreamBodyTimeout = "upstream_body_timeout", Upstream, 504, "http_response_timeout";
    /// The origin's bytes are not a response, or its framing is ambiguous.
    UpstreamProtocolError = "upstream_protocol_error", Upstream, 502, "http_protocol_error";
    /// The origin's head is over the limit.
    UpstreamHeaderTooLarge = "upstream_header_too_large", Upstream, 502, "http_response_header_section_size";
    /// The origin sent more interim responses than allowed (T20).
    UpstreamTooManyInterim = "upstream_too_many_interim", Upstream, 502, "http_protocol_error";
    /// The origin answered 101 to a request that asked for no upgrade, or the wrong one (T06), or with an extension of
    /// WebSocket that hides from a route's limits what frames mean.
    UpstreamBadUpgrade = "upstream_bad_upgrade", Upstream, 502, "http_upgrade_failed";
    /// The origin's WebSocket frames break the protocol or a limit of the route (T54).
    UpstreamWebSocketError = "upstream_ws_error", Upstream, 0, "-";
    /// The origin of a WebSocket answered no ping.
    UpstreamPingTimeout = "upstream_ping_timeout", Upstream, 0, "-";
    /// The endpoint reset a forwarded connection.
    UpstreamReset = "upstream_reset", Upstream, 0, "-";
    /// The way to the endpoint failed while a connection was forwarded.
    UpstreamFailed = "upstream_failed", Upstream, 0, "-";
}

impl Reason {
    /// The value of `Proxy-Status` (RFC 9209 §2) in an answer that the gateway gives for it.
    pub(crate) fn proxy_status(self) -> String {
        format!("towpath; error={}; details=\"{self}\"", self.proxy_error())
    }

    /// A small number for arrays of counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The codes in the order of [`Reason::index`], as metric labels.
    pub fn codes() -> Vec<&'static str> {
        Self::ALL.iter().map(|reason| reason.code()).collect()
    }

    /// The reason of this code, if a lower crate named one.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// The reason a pool's dial error stands for.
    pub fn of_connect(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        // EMFILE and ENFILE have no kind of their own yet.
        const FILE_LIMIT: [i32; 2] = [24, 23];
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::ConnectRefused,
            ErrorKind::TimedOut => Self::ConnectTimeout,
            _ if error.raw_os_error().is_some_and(|errno| FILE_LIMIT.contains(&errno)) => Self::FileLimit,
            _ => Self::ConnectFailed,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_distinct_and_found_again() {
        let distinct: HashSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(distinct.len(), Reason::ALL.len());
        for (index, &reason) in Reason::ALL.iter().enumerate() {
            assert_eq!((reason.index(), Reason::from_code(reason.code())), (index, Some(reason)));
        }
    }

    #[test]
    fn whatever_a_codec_of_layer_4_refuses_has_its_reason() {
        use towpath_proto::client_hello::ClientHelloError as Hello;
        use towpath_proto::proxy_protocol::ProxyError as Proxy;
        let proxy = [
            Proxy::Signature,
            Proxy::LineTooLong,
            Proxy::LineEnd,
            Proxy::Version,
            Proxy::Family,
            Proxy::Length,
            Proxy::TlvOverflow,
            Proxy::Checksum,
        ];
        let hello = [
            Hello::RecordType,
            Hello::RecordVersion,
            Hello::NotClientHello,
            Hello::TooLarge,
            Hello::Syntax,
            Hello::ServerName,
        ];
        for code in proxy.map(Proxy::reason).into_iter().chain(hello.map(Hello::reason)) {
            assert_eq!(Reason::from_code(code).map(Reason::side), Some(Side::Downstream), "{code}");
        }
    }

    #[test]
    fn whatever_the_codec_of_http2_refuses_has_its_reason() {
        use towpath_proto::h2::{ConnectionError as Lost, StreamFault as Fault};
        use towpath_proto::h2::{PseudoFault, hpack::HpackError};
        let lost = [
            Lost::Preface,
            Lost::FrameTooLarge,
            Lost::StreamIdle,
            Lost::StreamClosed,
            Lost::Continuation,
            Lost::Settings,
            Lost::WindowExceeded,
            Lost::Push,
            Lost::GoAway,
            Lost::Compression(HpackError::Index),
            Lost::BlockTooLarge,
            Lost::Resets,
            Lost::Workless,
            Lost::Replies,
            Lost::Truncated,
        ];
        let faults = [
            Fault::Pseudo(PseudoFault::Missing),
            Fault::ConnectionField,
            Fault::LengthMismatch,
            Fault::Expectation,
            Fault::TrailersOpen,
            Fault::Interim,
            Fault::Closed,
            Fault::WindowExceeded,
            Fault::TooManyStreams,
            Fault::HeadsTooLarge,
        ];
        for code in lost.map(Lost::reason).into_iter().chain(faults.map(Fault::reason)) {
            assert_eq!(Reason::from_code(code).map(Reason::side), Some(Side::Downstream), "{code}");
        }
    }

    #[test]
    fn whatever_is_wrong_with_a_followed_frame_has_its_reason() {
        use towpath_proto::ws::WsError as Ws;
        let followed = [
            Ws::ReservedBit,
            Ws::MaskMissing,
            Ws::LengthTooLarge,
            Ws::ControlTooLong,
            Ws::ContinuationMissing,
            Ws::CloseCode,
            Ws::MessageTooLarge,
            Ws::FragmentsTooMany,
            Ws::ControlFlood,
        ];
        for code in followed.map(Ws::reason) {
            assert_eq!(Reason::from_code(code).map(Reason::side), Some(Side::Downstream), "{code}");
        }
    }

    #[test]
    fn the_codes_promised_in_the_contract_exist() {
        for code in [
            "no_route",
            "no_healthy_endpoint",
            "connect_refused",
            "connect_timeout",
            "upstream_reset_before_response",
            "upstream_timeout",
            "header_too_large",
            "body_too_large",
            "bad_request_framing",
            "draining",
        ] {
            assert!(Reason::from_code(code).is_some(), "{code}");
        }
    }
}
