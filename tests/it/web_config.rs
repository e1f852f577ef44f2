//! Is the web side protected as its configuration file says? With curl, openssl and Prometheus as clients.

pub(crate) mod authority;
mod curl;
mod documented;
mod passwords;
mod prometheus;
mod rotation;
mod tls;
mod wrong;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Daemon, exporter};
use authority::Authority;

/// Of "s3cret", at the lowest cost; `mkpasswd -m bcrypt -R 4` makes such.
pub(crate) const SECRET: &str = "$2b$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG";
/// Of "grün:weiß".
pub(crate) const COLOURS: &str = "$2b$04$zzcdefghijklmnopqrstuuWCwf9vH46OB.LGKS2lmcq82EAmx7jQa";

/// A folder with authorities, certificates and a web configuration.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    /// Who signs everything good.
    pub(crate) authority: Authority,
}

impl Stage {
    /// With a certificate for the server, and nothing configured.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "ca");
        authority.certify("server", "first", "DNS:localhost,IP:127.0.0.1");
        Self { folder, authority }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes the configuration and starts a daemon with it; neither AWS nor a cluster is there, and none is needed.
    pub(crate) async fn daemon(&self, config: &str) -> Daemon {
        self.daemon_from("web.yml", config).await
    }

    /// The same with a file of its own: daemons that share one read each other's changes.
    pub(crate) async fn daemon_from(&self, file: &str, config: &str) -> Daemon {
        self.write(file, config);
        Daemon::start_command(&mut self.command(file)).await
    }

    pub(crate) fn command(&self, file: &str) -> std::process::Command {
        let mut command = exporter();
        command
            .args(["--web.listen-address", "127.0.0.1:0", "--log.format", "json", "--log.level", "debug", "--web.config.file"])
            .arg(self.path(file))
            .env_clear()
            .env("HOME", self.folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }
}

/// TLS with the server's certificate and nothing else.
pub(crate) const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// Text of an argument.
fn text(path: &Path) -> String {
    path.display().to_string()
}
