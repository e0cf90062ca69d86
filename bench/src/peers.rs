//! The proxies of a comparison: how each is started, and the configuration that makes the comparison fair.
//!
//! Fair means: one worker each, on a core of its own, no access log; what else it means for a service stands in the
//! file of that service.

pub mod envoy;
mod http;
mod service;
mod tcp;
mod udp;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

pub use service::{OriginKind, Service};

use crate::child::{
    PROXY_CORE, Running, free_address, free_datagram_address, pinned, wait_for_datagrams, wait_for_listener,
};
use crate::machine::has_program;
use crate::{Outcome, certificate, far, nghttp2};

/// Debian's package for nginx's `stream` brings it as a module to load.
const NGINX_STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// One proxy, or the control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The bare relay every ratio refers to.
    Control,
    /// This project.
    Towpath,
    /// nginx; with UDP, a session ends with its first answer.
    Nginx,
    /// nginx, with UDP sessions that stay.
    NginxSession,
    /// HAProxy as it is by default.
    Haproxy,
    /// HAProxy with its experimental edge-triggered mode.
    HaproxyEdge,
    /// HAProxy that must splice in both directions.
    HaproxySplice,
    /// Envoy.
    Envoy,
}

impl Peer {
    const ALL: [Peer; 8] = [
        Peer::Control,
        Peer::Towpath,
        Peer::Nginx,
        Peer::NginxSession,
        Peer::Haproxy,
        Peer::HaproxyEdge,
        Peer::HaproxySplice,
        Peer::Envoy,
    ];

    /// The name used in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Peer::Control => "control",
            Peer::Towpath => "towpath",
            Peer::Nginx => "nginx",
            Peer::NginxSession => "nginx-session",
            Peer::Haproxy => "haproxy",
            Peer::HaproxyEdge => "haproxy-edge",
            Peer::HaproxySplice => "haproxy-splice",
            Peer::Envoy => "envoy",
        }
    }

    /// The configuration file, or nothing for the control.
    #[must_use]
    pub fn config(self, place: &Place) -> Option<(&'static str, String)> {
        let name = match self {
            Peer::Control => return None,
            Peer::Towpath => "towpath.toml",
            Peer::Nginx | Peer::NginxSession => "nginx.conf",
            Peer::Haproxy | Peer::HaproxyEdge | Peer::HaproxySplice => "haproxy.cfg",
            Peer::Envoy => "envoy.yaml",
        };
        let text = match place.service {
            Service::Tcp => tcp::config(self, place),
            Service::Udp => udp::config(self, place),
            _ => http::config(self, place),
        };
        Some((name, text))
    }

    /// Starts the proxy on its core and waits until it listens.
    ///
    /// # Errors
    /// The program is missing, refuses its configuration or does not listen within 10 s.
    pub fn start(
        self,
        service: Service,
        bin: &Path,
        origins: &[SocketAddr],
        folder: &Path,
    ) -> Outcome<Started> {
        let place = Place::new(self, service, origins, folder)?;
        if service.is_tls() {
            place.certificate.provide()?;
        }
        let config = self.config(&place);
        let file = config.as_ref().map(|(name, _)| place.folder.join(name)).unwrap_or_default();
        if let Some((_, text)) = &config {
            fs::write(&file, text)?;
        }
        let mut running = Running::start(self.command(bin, &place, &file))?;
        match service {
            Service::Udp => wait_for_datagrams(&mut running, self.name(), place.listen)?,
            _ => wait_for_listener(self.name(), place.listen)?,
        }
        let config = config.map(|(_, text)| text).unwrap_or_default();
        Ok(Started { peer: self, service, address: place.listen, running, config })
    }

    fn command(self, bin: &Path, place: &Place, file: &Path) -> Command {
        let origins = place.origins.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(",");
        let mut command = pinned(PROXY_CORE, &self.program(bin, place.service));
        match self {
            Peer::Control if place.service == Service::Http1 => {
                command.args(["--addr", &place.listen.to_string(), "--origin", &origins])
            }
            Peer::Control => command.args([
                "--protocol",
                place.service.name(),
                "--addr",
                &place.listen.to_string(),
                "--origins",
                &origins,
            ]),
            Peer::Towpath => command.args(["run", "--quiet"]).arg(file),
            Peer::Nginx | Peer::NginxSession => {
                command.arg("-p").arg(&place.folder).arg("-c").arg(file).args(["-e", "stderr"])
            }
            Peer::Haproxy | Peer::HaproxyEdge | Peer::HaproxySplice => command.arg("-db").arg("-f").arg(file),
            Peer::Envoy => command.args(envoy::ARGUMENTS).arg(file),
        };
        command.stdout(Stdio::null());
        command
    }

    fn program(self, bin: &Path, service: Service) -> PathBuf {
        match self {
            Peer::Control if service == Service::Http1 => bin.join("bench-control"),
            Peer::Control => bin.join("bench-relay"),
            Peer::Towpath => bin.join("towpath"),
            Peer::Nginx | Peer::NginxSession => server("nginx"),
            Peer::Haproxy | Peer::HaproxyEdge | Peer::HaproxySplice => server("haproxy"),
            Peer::Envoy => envoy::program(bin),
        }
    }

    /// Why this peer cannot take part here, if it cannot.
    ///
    /// # Errors
    /// Its configuration cannot be written to `folder`.
    pub fn obstacle(self, service: Service, bin: &Path, folder: &Path) -> Outcome<Option<String>> {
        let installed = match self {
            Peer::Control => return Ok(None),
            Peer::Towpath => return towpath_obstacle(service, bin, folder),
            Peer::Nginx | Peer::NginxSession => {
                let needs_module = matches!(service, Service::Tcp | Service::Udp);
                has_program("nginx") && (!needs_module || Path::new(NGINX_STREAM_MODULE).is_file())
            }
            Peer::Haproxy | Peer::HaproxyEdge | Peer::HaproxySplice => has_program("haproxy"),
            Peer::Envoy => envoy::program(bin).is_file(),
        };
        Ok((!installed).then(|| "not installed".to_owned()))
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        Peer::ALL.into_iter().find(|peer| peer.name() == text).ok_or_else(|| format!("no peer {text:?}"))
    }
}

/// Where a peer listens, forwards and keeps its files.
#[derive(Debug)]
pub struct Place {
    /// What it is to do.
    pub service: Service,
    /// Address of its listener.
    pub listen: SocketAddr,
    /// Addresses of the origin; one, except where ports would run out.
    pub origins: Vec<SocketAddr>,
    /// A folder of its own.
    pub folder: PathBuf,
    /// What it shows to clients that speak TLS.
    pub certificate: certificate::Files,
}

impl Place {
    /// A free address and a folder for `peer` within `folder`.
    ///
    /// # Errors
    /// No free port, or the folder cannot be made.
    pub fn new(peer: Peer, service: Service, origins: &[SocketAddr], folder: &Path) -> Outcome<Place> {
        let certificate = certificate::Files::within(folder);
        let folder = folder.join(service.name()).join(peer.name());
        fs::create_dir_all(&folder)?;
        let listen = match service {
            Service::Udp => free_datagram_address()?,
            _ => free_address()?,
        };
        Ok(Place { service, listen, origins: origins.to_vec(), folder, certificate })
    }

    fn quoted_origins(&self) -> String {
        self.origins.iter().map(|origin| format!("{:?}", origin.to_string())).collect::<Vec<_>>().join(", ")
    }
}

/// A peer that listens.
#[derive(Debug)]
pub struct Started {
    /// Which one.
    pub peer: Peer,
    /// What it does.
    pub service: Service,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub running: Running,
    /// The configuration it was started with.
    pub config: String,
}

/// Starts those of `peers` that can take part, except the control; and a remark about each of the others.
///
/// # Errors
/// One that should work does not start.
pub fn start_others(
    peers: &[Peer],
    service: Service,
    bin: &Path,
    origins: &[SocketAddr],
    folder: &Path,
) -> Outcome<(Vec<Started>, Vec<String>)> {
    let (mut others, mut remarks) = (Vec::new(), Vec::new());
    for &peer in peers.iter().filter(|&&peer| peer != Peer::Control) {
        match peer.obstacle(service, bin, folder)? {
            None => others.push(peer.start(service, bin, origins, folder)?),
            Some(reason) => remarks.push(format!("{} is left out: {reason}", peer.name())),
        }
    }
    Ok((others, remarks))
}

/// Starts the origin that `service` needs, beside the generator.
///
/// # Errors
/// It does not listen.
pub fn start_origin_for(service: Service, bin: &Path, folder: &Path) -> Outcome<(Running, Vec<SocketAddr>)> {
    let one = |(running, address)| (running, vec![address]);
    match service.origin() {
        OriginKind::Http1 => start_origin(bin).map(one),
        OriginKind::Far(protocol) => far::start(protocol, bin, 1),
        OriginKind::Http2 { is_grpc } => nghttp2::start_origin(&folder.join("htdocs"), is_grpc).map(one),
    }
}

/// Starts `bench-origin` beside the generator.
///
/// # Errors
/// It does not listen.
pub fn start_origin(bin: &Path) -> Outcome<(Running, SocketAddr)> {
    let address = free_address()?;
    let mut command = pinned(crate::child::REST_CORE, &bin.join("bench-origin"));
    command.args(["--addr", &address.to_string()]);
    let running = Running::start(command)?;
    wait_for_listener("bench-origin", address)?;
    Ok((running, address))
}

/// The folder of the programs built together with this one.
///
/// # Errors
/// The system does not tell where this program is.
pub fn bin_folder() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().ok_or("this program is in no folder")?.to_owned())
}

/// Debian keeps servers where only root's search path looks.
fn server(name: &str) -> PathBuf {
    let candidates = [format!("/usr/sbin/{name}"), format!("/usr/bin/{name}")];
    candidates.iter().map(PathBuf::from).find(|path| path.is_file()).unwrap_or_else(|| name.into())
}

/// Asks Towpath itself: an older binary does not know every protocol.
fn towpath_obstacle(service: Service, bin: &Path, folder: &Path) -> Outcome<Option<String>> {
    let place = Place::new(Peer::Towpath, service, &[free_address()?], folder)?;
    if service.is_tls() {
        place.certificate.provide()?;
    }
    let (name, text) = Peer::Towpath.config(&place).ok_or("Towpath has a configuration")?;
    let file = place.folder.join(name);
    fs::write(&file, text)?;
    let output = Command::new(bin.join("towpath")).arg("check").arg(&file).output();
    let output = output.map_err(|error| format!("cannot start towpath: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
    let said = said.replace(&file.display().to_string(), name);
    Ok((!output.status.success()).then_some(said))
}

fn nginx_user() -> &'static str {
    if rustix::process::geteuid().is_root() { "user root;\n" } else { "" }
}

/// The file around a `stream` block.
fn nginx_stream(place: &Place, connections: u64, stream: &str) -> String {
    let (user, folder) = (nginx_user(), place.folder.display());
    format!(
        r#"load_module {NGINX_STREAM_MODULE};
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{
    worker_connections {connections};
    use epoll;
    multi_accept on;
}}
stream {{
    access_log off;
{stream}}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_is_known_by_its_name() {
        assert!(Peer::ALL.iter().all(|peer| peer.name().parse() == Ok(*peer)));
    }

    #[test]
    fn every_peer_of_a_service_has_a_configuration_that_names_the_origin() {
        let origin: SocketAddr = "127.0.0.9:1234".parse().unwrap();
        for service in Service::ALL {
            for peer in service.peers().iter().filter(|&&peer| peer != Peer::Control) {
                let place = Place {
                    service,
                    listen: "127.0.0.1:1".parse().unwrap(),
                    origins: vec![origin],
                    folder: PathBuf::from("folder"),
                    certificate: certificate::Files::within(Path::new("folder")),
                };
                let (_, text) = peer.config(&place).unwrap();
                assert!(text.contains("127.0.0.9") && text.contains("1234"), "{peer:?} {service:?}");
                assert_eq!(text.contains(".pem"), service.is_tls(), "{peer:?} {service:?}");
            }
        }
    }
}
