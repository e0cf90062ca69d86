//! What both ends agree on about permessage-deflate (RFC 7692 §5, §7.1). Sections here are of RFC 7692.

use super::extensions::{Parameter, Scanner};
use super::{HandshakeError, Role};

const NAME: &[u8] = b"permessage-deflate";

/// The base-2 logarithm of a window's bytes, 8 to 15 (§7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowBits(u8);

/// What we wish for. Default: no window is kept between messages, in either direction, and 32 KiB inside one. A
/// kept window is 46 KiB for each connection inwards and up to 371 KiB outwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflatePolicy {
    /// The server begins every message with an empty window (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client begins every message with an empty window (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// Largest window of the server (§7.1.2.1).
    pub server_window_bits_max: WindowBits,
    /// Largest window of the client (§7.1.2.2), if the client lets us say.
    pub client_window_bits_max: WindowBits,
}

/// What was agreed, and what an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_window: Option<WindowBits>,
    client_window: Option<WindowBits>,
}

/// What an answer that is passed on agreed to, as far as it changes how frames are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extensions {
    /// None.
    #[default]
    None,
    /// permessage-deflate alone, whose bit stands on the first frame of a message (§6).
    Deflate,
    /// Others, or no list of extensions at all: what reserved bits and opcodes mean is not known.
    Unknown,
}

impl Extensions {
    /// Reads the values of `Sec-WebSocket-Extensions` in an answer. Parameters are the two peers' own concern.
    pub(super) fn read<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut agreed = Self::None;
        for value in values {
            agreed = agreed.and(value).unwrap_or(Self::Unknown);
        }
        agreed
    }

    fn and(mut self, value: &[u8]) -> Result<Self, HandshakeError> {
        let mut scanner = Scanner::new(value);
        while let Some(name) = scanner.next_extension()? {
            while scanner.next_parameter()?.is_some() {}
            self = if self == Self::None && name == NAME { Self::Deflate } else { Self::Unknown };
        }
        Ok(self)
    }
}

/// One element of an offer or an answer.
#[derive(Clone, Copy, Debug)]
struct Extension {
    /// There if it is permessage-deflate with parameters that are known, proper and not repeated.
    deflate: Option<Parameters>,
}

/// The parameters of one offer or answer.
#[derive(Clone, Copy, Debug, Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_window: Option<WindowBits>,
    client_window: Option<ClientWindow>,
}

/// `client_max_window_bits` may come without a value: "you may choose" (§7.1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientWindow {
    Any,
    Most(WindowBits),
}

impl WindowBits {
    /// 256 bytes.
    pub const MIN: Self = Self(8);
    /// 32 KiB, which holds when nothing is said.
    pub const MAX: Self = Self(15);

    /// The window of 2^`bits` bytes, if there is one.
    pub fn new(bits: u8) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&bits).then_some(Self(bits))
    }

    /// The logarithm.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl Default for DeflatePolicy {
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_window_bits_max: WindowBits::MAX,
            client_window_bits_max: WindowBits::MAX,
        }
    }
}

impl DeflatePolicy {
    /// A server's choice: the answer to the first offer of permessage-deflate that can be taken (§5.1). `values`
    /// are those of `Sec-WebSocket-Extensions`, in order. Other extensions, and offers with a parameter that is
    /// unknown, repeated or without a proper value, are declined (§7.1).
    ///
    /// # Errors
    /// [`HandshakeError::ExtensionSyntax`] if a value is not a list of extensions (RFC 6455 §9.1).
    pub fn accept<'a>(
        &self,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Deflate>, HandshakeError> {
        let mut accepted = None;
        for value in values {
            let mut scanner = Scanner::new(value);
            while let Some(extension) = Extension::read(&mut scanner)? {
                accepted = accepted.or(extension.deflate.map(|offer| self.answer(&offer)));
            }
        }
        Ok(accepted)
    }

    fn answer(&self, offer: &Parameters) -> Deflate {
        let server_most = self.server_window_bits_max;
        let client_most = self.client_window_bits_max;
        Deflate {
            server_no_context_takeover: self.server_no_context_takeover || offer.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover || offer.client_no_context_takeover,
            // §7.1.2.1: an offered bound is answered with one that is not above it; one may also be said unasked.
            server_window: match offer.server_window {
                Some(most) => Some(most.min(server_most)),
                None => Some(server_most).filter(|most| *most < WindowBits::MAX),
            },
            // §7.1.2.2: not without the client's leave.
            client_window: offer.client_window.map(|window| match window {
                ClientWindow::Any => client_most,
                ClientWindow::Most(most) => most.min(client_most),
            }),
        }
    }

    /// Writes a client's offer, the value of `Sec-WebSocket-Extensions`.
    pub fn write_offer(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME);
        write_flag(out, self.server_no_context_takeover, SERVER_NO_CONTEXT_TAKEOVER);
        write_flag(out, self.client_no_context_takeover, CLIENT_NO_CONTEXT_TAKEOVER);
        let bounded = |most: WindowBits| Some(most).filter(|most| *most < WindowBits::MAX);
        write_bits(out, bounded(self.server_window_bits_max), SERVER_MAX_WINDOW_BITS);
        match bounded(self.client_window_bits_max) {
            None => write_flag(out, true, CLIENT_MAX_WINDOW_BITS),
            most => write_bits(out, most, CLIENT_MAX_WINDOW_BITS),
        }
    }

    /// A client's reading of the answer to [`DeflatePolicy::write_offer`]; `None` if the server declined.
    ///
    /// # Errors
    /// [`HandshakeError::ExtensionSyntax`] as for an offer, and [`HandshakeError::ExtensionAnswer`] for an answer
    /// that fits no offer of ours (RFC 6455 §9.1, RFC 7692 §7.1).
    pub fn read_answer<'a>(
        &self,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Deflate>, HandshakeError> {
        let mut agreed = None;
        for value in values {
            let mut scanner = Scanner::new(value);
            while let Some(extension) = Extension::read(&mut scanner)? {
                let answer = extension.deflate.filter(|_| agreed.is_none());
                let good = answer.and_then(|answer| self.agree(&answer));
                agreed = Some(good.ok_or(HandshakeError::ExtensionAnswer)?);
            }
        }
        Ok(agreed)
    }

    /// `None` if the answer asks for more than was offered or promises less than was required.
    fn agree(&self, answer: &Parameters) -> Option<Deflate> {
        let is_kept = answer.server_no_context_takeover || !self.server_no_context_takeover;
        let server_window = answer.server_window.unwrap_or(WindowBits::MAX);
        let client_window = match answer.client_window {
            None => self.client_window_bits_max,
            Some(ClientWindow::Most(most)) => most,
            Some(ClientWindow::Any) => return None,
        };
        let fits =
            server_window <= self.server_window_bits_max && client_window <= self.client_window_bits_max;
        (is_kept && fits).then_some(Deflate {
            server_no_context_takeover: answer.server_no_context_takeover,
            // §7.1.1.2: a client may do without its window, whether it was asked to or not.
            client_no_context_takeover: answer.client_no_context_takeover || self.client_no_context_takeover,
            server_window: answer.server_window,
            client_window: Some(client_window),
        })
    }
}

const SERVER_NO_CONTEXT_TAKEOVER: &[u8] = b"server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &[u8] = b"client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &[u8] = b"server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &[u8] = b"client_max_window_bits";

impl Deflate {
    /// Writes a server's answer, the value of `Sec-WebSocket-Extensions`.
    pub fn write_answer(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME);
        write_flag(out, self.server_no_context_takeover, SERVER_NO_CONTEXT_TAKEOVER);
        write_flag(out, self.client_no_context_takeover, CLIENT_NO_CONTEXT_TAKEOVER);
        write_bits(out, self.server_window, SERVER_MAX_WINDOW_BITS);
        write_bits(out, self.client_window, CLIENT_MAX_WINDOW_BITS);
    }

    /// Whether a message we receive may refer to the one before it. `role` is ours.
    pub fn keeps_inbound_context(&self, role: Role) -> bool {
        match role {
            Role::Server => !self.client_no_context_takeover,
            Role::Client => !self.server_no_context_takeover,
        }
    }

    /// Whether a message we send may refer to the one before it. `role` is ours.
    pub fn keeps_outbound_context(&self, role: Role) -> bool {
        match role {
            Role::Server => !self.server_no_context_takeover,
            Role::Client => !self.client_no_context_takeover,
        }
    }

    /// The largest window we may use for what we send. `role` is ours.
    pub fn outbound_window(&self, role: Role) -> WindowBits {
        let window = match role {
            Role::Server => self.server_window,
            Role::Client => self.client_window,
        };
        window.unwrap_or(WindowBits::MAX)
    }
}

impl Extension {
    /// The next one.
    fn read(scanner: &mut Scanner<'_>) -> Result<Option<Self>, HandshakeError> {
        let Some(name) = scanner.next_extension()? else { return Ok(None) };
        let mut deflate = (name == NAME).then(Parameters::default);
        while let Some(parameter) = scanner.next_parameter()? {
            deflate = deflate.and_then(|deflate| deflate.with(parameter));
        }
        Ok(Some(Self { deflate }))
    }
}

impl Parameters {
    /// The parameters with one more; `None` if it is unknown, repeated, or has no value of its kind (§7.1).
    fn with(mut self, parameter: Parameter<'_>) -> Option<Self> {
        let is_alone = parameter.value.is_none();
        let bits = parameter.value.map(|value| value.small_number().and_then(WindowBits::new));
        let (is_good, is_repeated) = match parameter.name {
            SERVER_NO_CONTEXT_TAKEOVER => {
                (is_alone, std::mem::replace(&mut self.server_no_context_takeover, true))
            }
            CLIENT_NO_CONTEXT_TAKEOVER => {
                (is_alone, std::mem::replace(&mut self.client_no_context_takeover, true))
            }
            SERVER_MAX_WINDOW_BITS => {
                let bits = bits.flatten();
                (bits.is_some(), std::mem::replace(&mut self.server_window, bits).is_some())
            }
            CLIENT_MAX_WINDOW_BITS => {
                let window = match bits {
                    None => Some(ClientWindow::Any),
                    Some(bits) => bits.map(ClientWindow::Most),
                };
                (window.is_some(), std::mem::replace(&mut self.client_window, window).is_some())
            }
            _ => return None,
        };
        (is_good && !is_repeated).then_some(self)
    }
}

fn write_flag(out: &mut Vec<u8>, is_set: bool, name: &[u8]) {
    if is_set {
        out.extend_from_slice(b"; ");
        out.extend_from_slice(name);
    }
}

fn write_bits(out: &mut Vec<u8>, bits: Option<WindowBits>, name: &[u8]) {
    if let Some(WindowBits(bits)) = bits {
        write_flag(out, true, name);
        out.push(b'=');
        crate::h1::encode::decimal(out, u64::from(bits));
    }
}
