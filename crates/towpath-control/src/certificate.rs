//! `towpath cert gen`: certificates for development, out of a CA of one's own.
//!
//! ```text
//!   names --Name::parse--> Order --> Authority (made once, then kept) --sign--> leaf --files--> crt, key, chain
//! ```
//!
//! Every key is ECDSA on P-256, which every client accepts and which signs fastest. A folder has one CA; whoever trusts
//! its `ca.pem` trusts every certificate made there, so a CA is never replaced, not even by force. Certificates from
//! elsewhere, and their renewal, are not made here.

mod authority;
mod files;
mod name;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, date_time_ymd};

use crate::{Console, Exit};

use authority::{Authority, CA_FILE};
use files::{Secrecy, is_there, write};
use name::{Client, Name};

/// The names of a certificate for which none are given: what a browser on the same machine asks for.
const NAMES_DEFAULT: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// More names make a certificate that some clients do not take, and a ClientHello's answer of many packets.
const NAMES_COUNT_MAX: usize = 100;

/// A certificate is valid from an hour ago, because clocks differ.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(3_600);

const DAY: Duration = Duration::from_secs(86_400);

/// What a CA lives, and so what anything below it can.
const DAYS_MAX: u32 = 3_650;

/// What to make.
#[derive(Clone, Debug)]
pub struct CertificateOrder {
    /// Where the files are, or will be. Made if it is not there.
    pub folder: PathBuf,
    /// DNS names, addresses and `spiffe://` URIs of a server, all of them in one certificate. None: `localhost` and its
    /// addresses, unless a client is asked for.
    pub names: Vec<String>,
    /// The name of a client, which gets a certificate of its own.
    pub client: Option<String>,
    /// Days until the certificates end, 3650 at most. The CA has to live as long.
    pub days: u32,
    /// Whether certificates and keys that are there may be replaced. The CA never is.
    pub force: bool,
}

/// Why it was not made.
#[derive(Debug)]
enum Fault {
    /// The order cannot be carried out by anyone.
    Argument(String),
    /// It could be, somewhere else or later.
    Failed(String),
}

fn failed(path: &Path, why: impl Display) -> Fault {
    Fault::Failed(format!("{}: {why}", path.display()))
}

/// What the library cannot make of an order that was checked; no case is known.
fn unmade(fault: rcgen::Error) -> Fault {
    Fault::Failed(format!("the certificate cannot be made: {fault}"))
}

/// A certificate to be made: who it is for, and the names of its files without their endings.
struct Leaf {
    params: CertificateParams,
    stem: String,
    what: &'static str,
    /// Where a client would ask for it.
    host: String,
}

/// A file that was written, or that was there and is needed.
struct Told {
    path: PathBuf,
    what: String,
    is_new: bool,
}

/// Makes what `order` asks for and says what was written.
#[must_use]
pub fn generate_certificates(order: &CertificateOrder) -> Exit {
    match generate(order, SystemTime::now()) {
        Ok(text) => {
            Console::default().say(&text);
            Exit::Clean
        }
        Err(Fault::Argument(message)) => {
            Console::default().error("bad_arguments", &message);
            Exit::BadConfiguration
        }
        Err(Fault::Failed(message)) => {
            Console::default().error("certificate_failed", &message);
            Exit::Failed
        }
    }
}

fn generate(order: &CertificateOrder, now: SystemTime) -> Result<String, Fault> {
    if !(1..=DAYS_MAX).contains(&order.days) {
        return Err(Fault::Argument(format!("--days {}: write 1 to {DAYS_MAX}", order.days)));
    }
    let leaves = leaves(order, now)?;
    refuse_to_overwrite(order, &leaves)?;
    std::fs::create_dir_all(&order.folder).map_err(|fault| failed(&order.folder, fault))?;
    let authority = Authority::open_or_make(&order.folder, now)?;
    authority.check_outlives(now + DAY * order.days)?;
    let mut told = authority.told();
    for leaf in &leaves {
        told.extend(make(order, &authority, leaf)?);
    }
    Ok(told_text(&told) + &usage(order, &leaves))
}

/// The certificates of the order, in the order in which they are made.
fn leaves(order: &CertificateOrder, now: SystemTime) -> Result<Vec<Leaf>, Fault> {
    let mut leaves = Vec::new();
    if !order.names.is_empty() || order.client.is_none() {
        leaves.push(server_leaf(order, now)?);
    }
    if let Some(client) = &order.client {
        leaves.push(client_leaf(order, client, now)?);
    }
    match leaves.as_slice() {
        [server, client] if server.stem == client.stem => Err(Fault::Argument(format!(
            "--name and --client would both be {}.crt; give the client another name",
            server.stem
        ))),
        _ => Ok(leaves),
    }
}

fn server_leaf(order: &CertificateOrder, now: SystemTime) -> Result<Leaf, Fault> {
    let names = names(&order.names).map_err(|why| Fault::Argument(format!("--name {why}")))?;
    let mut params = params(order, now, &names.first().map(Name::text).unwrap_or_default());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A workload with a SPIFFE id is a server to some and a client to others.
    if names.iter().any(Name::is_workload) {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    }
    params.subject_alt_names =
        names.iter().map(Name::alternative).collect::<Result<_, _>>().map_err(unmade)?;
    let first = names.first();
    let (stem, host) = (first.map(Name::stem), first.map(Name::host));
    Ok(Leaf { params, stem: stem.unwrap_or_default(), what: "server", host: host.unwrap_or_default() })
}

fn names(given: &[String]) -> Result<Vec<Name>, String> {
    if given.len() > NAMES_COUNT_MAX {
        return Err(format!("is there {} times; {NAMES_COUNT_MAX} are the most", given.len()));
    }
    match given {
        [] => NAMES_DEFAULT.into_iter().map(Name::parse).collect(),
        given => given.iter().map(|name| Name::parse(name)).collect(),
    }
}

fn client_leaf(order: &CertificateOrder, client: &str, now: SystemTime) -> Result<Leaf, Fault> {
    let client = Client::parse(client).map_err(|why| Fault::Argument(format!("--client {why}")))?;
    let mut params = params(order, now, client.text());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = client.alternative().map_err(unmade)?.into_iter().collect();
    Ok(Leaf { params, stem: client.stem(), what: "client", host: "localhost".to_owned() })
}

/// What server and client have in common.
fn params(order: &CertificateOrder, now: SystemTime, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name::subject(name);
    params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(now - CLOCK_DIFFERENCE);
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(now + DAY * order.days);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

/// What certificates count in: whole seconds since 1970.
fn since_epoch(time: SystemTime) -> Duration {
    Duration::from_secs(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn refuse_to_overwrite(order: &CertificateOrder, leaves: &[Leaf]) -> Result<(), Fault> {
    let mut files = leaves.iter().flat_map(|leaf| leaf.files(&order.folder));
    match files.find(|file| !order.force && is_there(file)) {
        Some(file) => Err(Fault::Failed(format!("{}: is there; --force replaces it", file.display()))),
        None => Ok(()),
    }
}

fn make(order: &CertificateOrder, authority: &Authority, leaf: &Leaf) -> Result<[Told; 3], Fault> {
    let key = KeyPair::generate().map_err(unmade)?;
    let certificate = authority.sign(&leaf.params, &key)?;
    let [certificate_file, key_file, chain_file] = leaf.files(&order.folder);
    write(&key_file, &key.serialize_pem(), Secrecy::Secret, order.force)?;
    write(&certificate_file, &certificate, Secrecy::Public, order.force)?;
    write(&chain_file, &(certificate + authority.pem()), Secrecy::Public, order.force)?;
    Ok([
        Told::new(certificate_file, format!("{} certificate for {}", leaf.what, leaf.alternatives())),
        Told::new(key_file, format!("its key, for the {} alone", leaf.what)),
        Told::new(chain_file, "the certificate and its CA's in one file".to_owned()),
    ])
}

impl Leaf {
    /// Certificate, key and chain.
    fn files(&self, folder: &Path) -> [PathBuf; 3] {
        ["crt", "key", "chain.pem"].map(|ending| folder.join(format!("{}.{ending}", self.stem)))
    }

    fn usage(&self, folder: &Path, ca: &Path) -> String {
        let [certificate, key, _] = self.files(folder);
        let (file, curl) = match self.what {
            "client" => (
                format!("add client_ca = {} to [tls.site]", toml(ca)),
                format!("--cert {} --key {}", shell(&certificate), shell(&key)),
            ),
            _ => (
                format!(
                    "tls.site = {{ certificate = {}, private_key = {} }}",
                    toml(&certificate),
                    toml(&key)
                ),
                String::new(),
            ),
        };
        let ca = shell(ca);
        let words = ["curl --cacert", &ca, &curl, &format!("https://{}:8443/", self.host)];
        let curl: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        format!("towpath.toml: {file}\n{}\n", curl.join(" "))
    }

    fn alternatives(&self) -> String {
        let names = self.params.subject_alt_names.iter().map(name::shown);
        let names = names.collect::<Vec<_>>().join(", ");
        if names.is_empty() { self.stem.clone() } else { names }
    }
}

impl Told {
    fn new(path: PathBuf, what: String) -> Self {
        Self { path, what, is_new: true }
    }
}

fn told_text(told: &[Told]) -> String {
    let width = told.iter().map(|told| told.path.display().to_string().len()).max().unwrap_or_default();
    let lines = told.iter().map(|told| {
        let did = if told.is_new { "wrote" } else { "kept" };
        format!("{did:5} {:width$}  {}\n", told.path.display().to_string(), told.what)
    });
    lines.collect()
}

/// Two lines for each certificate: the file's, and curl's.
fn usage(order: &CertificateOrder, leaves: &[Leaf]) -> String {
    let ca = order.folder.join(CA_FILE);
    leaves.iter().map(|leaf| leaf.usage(&order.folder, &ca)).collect()
}

/// A path as TOML's basic string, whose escapes are those of JSON.
fn toml(path: &Path) -> String {
    serde_json::Value::from(path.display().to_string()).to_string()
}

/// A path as one word of the shell.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./+,:@".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_that_has_ended_signs_nothing_s34() {
        let folder = std::env::temp_dir().join(format!("towpath-certificate-{}", std::process::id()));
        let order =
            CertificateOrder { folder: folder.clone(), names: vec![], client: None, days: 1, force: true };
        let now = SystemTime::now();
        assert!(generate(&order, now).is_ok());
        let text = |made: Result<String, Fault>| match made {
            Err(Fault::Failed(why)) => why,
            other => format!("{other:?}"),
        };
        assert!(text(generate(&order, now + DAY * DAYS_MAX - DAY / 2)).contains("ends before"));
        assert!(text(generate(&order, now + DAY * DAYS_MAX * 2)).contains("ca.pem: ended on "));
        let _ = std::fs::remove_dir_all(&folder);
    }

    #[test]
    fn a_path_is_one_word_of_the_shell_and_one_string_of_the_file() {
        let path = Path::new("a b/it's \"x\".crt");
        assert_eq!(shell(path), "'a b/it'\\''s \"x\".crt'");
        assert_eq!(toml(path), "\"a b/it's \\\"x\\\".crt\"");
        assert_eq!(shell(Path::new("certs/localhost.crt")), "certs/localhost.crt");
    }
}
