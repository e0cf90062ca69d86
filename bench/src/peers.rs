//! The proxies of a comparison: how each is started, and the configuration that makes the comparison fair.
//!
//! Fair means: one worker each, keep-alive on both sides with the limits raised, no access log, the same three
//! forwarding headers, buffers large enough for the largest response of a scenario in one read. HAProxy wants twice
//! as many files as connections even where they are never used; `no strict-limits` lets it start without.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use crate::Outcome;
use crate::child::{PROXY_CORE, Running, free_address, pinned, wait_for_listener};
use crate::machine::has_program;

/// One proxy, or the control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The bare relay every ratio refers to.
    Control,
    /// This project.
    Towpath,
    /// nginx.
    Nginx,
    /// HAProxy as it is by default.
    Haproxy,
    /// HAProxy with its experimental edge-triggered mode.
    HaproxyEdge,
}

/// Every member, the control first.
pub const PEERS: [Peer; 5] = [Peer::Control, Peer::Towpath, Peer::Nginx, Peer::Haproxy, Peer::HaproxyEdge];

impl Peer {
    /// The name used in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Peer::Control => "control",
            Peer::Towpath => "towpath",
            Peer::Nginx => "nginx",
            Peer::Haproxy => "haproxy",
            Peer::HaproxyEdge => "haproxy-edge",
        }
    }

    /// The configuration file, or nothing for the control.
    #[must_use]
    pub fn config(self, place: &Place) -> Option<(&'static str, String)> {
        let Place { listen, origin, folder, .. } = place;
        match self {
            Peer::Control => None,
            Peer::Towpath => Some(("towpath.toml", towpath_config(*listen, *origin))),
            Peer::Nginx => Some(("nginx.conf", nginx_config(*listen, *origin, folder))),
            Peer::Haproxy => Some(("haproxy.cfg", haproxy_config(*listen, *origin, false))),
            Peer::HaproxyEdge => Some(("haproxy-edge.cfg", haproxy_config(*listen, *origin, true))),
        }
    }

    /// Starts the proxy on its core and waits until it listens.
    ///
    /// # Errors
    /// The program is missing, refuses its configuration or does not listen within 10 s.
    pub fn start(self, bin: &Path, origin: SocketAddr, folder: &Path) -> Outcome<Started> {
        let folder = folder.join(self.name());
        fs::create_dir_all(&folder)?;
        let place = Place { listen: free_address()?, origin, folder };
        let config = self.config(&place);
        let file = config.as_ref().map(|(name, _)| place.folder.join(name)).unwrap_or_default();
        if let Some((_, text)) = &config {
            fs::write(&file, text)?;
        }
        let running = Running::start(self.command(bin, &place, &file))?;
        wait_for_listener(self.name(), place.listen)?;
        let config = config.map(|(_, text)| text).unwrap_or_default();
        Ok(Started { peer: self, address: place.listen, running, config })
    }

    fn command(self, bin: &Path, place: &Place, file: &Path) -> Command {
        let mut command = match self {
            Peer::Control => pinned(PROXY_CORE, &bin.join("bench-control")),
            Peer::Towpath => pinned(PROXY_CORE, &bin.join("towpath")),
            Peer::Nginx => pinned(PROXY_CORE, &program("nginx")),
            Peer::Haproxy | Peer::HaproxyEdge => pinned(PROXY_CORE, &program("haproxy")),
        };
        match self {
            Peer::Control => {
                let (listen, origin) = (place.listen.to_string(), place.origin.to_string());
                command.args(["--addr", &listen, "--origin", &origin])
            }
            Peer::Towpath => command.args(["run", "--quiet"]).arg(file),
            Peer::Nginx => command.arg("-p").arg(&place.folder).arg("-c").arg(file).args(["-e", "stderr"]),
            Peer::Haproxy | Peer::HaproxyEdge => command.arg("-db").arg("-f").arg(file),
        };
        command.stdout(Stdio::null());
        command
    }

    /// The Debian package the peer comes in.
    #[must_use]
    pub fn package(self) -> Option<&'static str> {
        match self {
            Peer::Control | Peer::Towpath => None,
            Peer::Nginx => Some("nginx-light"),
            Peer::Haproxy | Peer::HaproxyEdge => Some("haproxy"),
        }
    }

    /// Whether the peer's program is on this machine.
    #[must_use]
    pub fn is_installed(self) -> bool {
        match self {
            Peer::Control | Peer::Towpath => true,
            Peer::Nginx => has_program("nginx"),
            Peer::Haproxy | Peer::HaproxyEdge => has_program("haproxy"),
        }
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        PEERS.into_iter().find(|peer| peer.name() == text).ok_or_else(|| format!("no peer {text:?}"))
    }
}

/// Where a peer listens, forwards and keeps its files.
#[derive(Debug)]
pub struct Place {
    /// Address of its listener.
    pub listen: SocketAddr,
    /// Address of the origin.
    pub origin: SocketAddr,
    /// A folder of its own.
    pub folder: PathBuf,
}

/// A peer that listens.
#[derive(Debug)]
pub struct Started {
    /// Which one.
    pub peer: Peer,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its process.
    pub running: Running,
    /// The configuration it was started with.
    pub config: String,
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
fn program(name: &str) -> PathBuf {
    let candidates = [format!("/usr/sbin/{name}"), format!("/usr/bin/{name}")];
    candidates.iter().map(PathBuf::from).find(|path| path.is_file()).unwrap_or_else(|| name.into())
}

fn towpath_config(listen: SocketAddr, origin: SocketAddr) -> String {
    format!(
        r#"[workers]
count = 1

[access_log]
path = "off"

[listener.bench]
bind = "{listen}"

[route.all]
match = {{ path = "/*" }}
upstream = "origin"

[upstream.origin]
endpoints = ["{origin}"]
pool = {{ max_connections = "unlimited" }}
"#
    )
}

fn nginx_config(listen: SocketAddr, origin: SocketAddr, folder: &Path) -> String {
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    let folder = folder.display();
    format!(
        r#"{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{
    worker_connections 19000;
    use epoll;
    multi_accept on;
}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    proxy_buffer_size 32k;
    proxy_buffers 8 32k;
    upstream origin {{
        server {origin};
        keepalive 1024;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen {listen} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
        }}
    }}
}}
"#
    )
}

fn haproxy_config(listen: SocketAddr, origin: SocketAddr, edge_triggered: bool) -> String {
    let edge = match edge_triggered {
        true => "    expose-experimental-directives\n    tune.fd.edge-triggered on\n",
        false => "",
    };
    format!(
        r#"global
    nbthread 1
    maxconn 19000
    no strict-limits
    tune.bufsize 32768
{edge}
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    timeout http-request 10s
    option forwardfor
    http-reuse always

frontend bench
    bind {listen} backlog 4096
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend origin

backend origin
    server origin {origin} pool-purge-delay 600s
"#
    )
}
