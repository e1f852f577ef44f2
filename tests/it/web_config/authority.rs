//! Who signs the tests' certificates? An authority of their own, made by openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A certificate that signs others.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: PathBuf,
    name: String,
}

impl Authority {
    /// Makes `NAME.crt` and `NAME.key`.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        // Of its own, since the system's adds extensions that contradict ours.
        fs::write(folder.join("openssl.cnf"), "[req]\ndistinguished_name = dn\n[dn]\n").unwrap();
        let this = Self { folder: folder.to_owned(), name: name.to_owned() };
        this.make(name, name, &["basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign,cRLSign"], None);
        this
    }

    /// Makes `FILE.crt` and `FILE.key` for these names, for a server or a client.
    pub(crate) fn certify(&self, file: &str, common_name: &str, alternative_names: &str) {
        let names = format!("subjectAltName={alternative_names}");
        let extensions = ["basicConstraints=critical,CA:false", "extendedKeyUsage=serverAuth,clientAuth", &names];
        self.make(file, common_name, &extensions, Some(&self.name));
    }

    /// The authority's own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join(format!("{}.crt", self.name))
    }

    fn make(&self, file: &str, common_name: &str, extensions: &[&str], signer: Option<&str>) {
        let path = |name: &str, ending: &str| self.folder.join(format!("{name}.{ending}"));
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .arg("-config")
            .arg(self.folder.join("openssl.cnf"))
            .args(["-subj", &format!("/CN={common_name}")])
            .arg("-keyout")
            .arg(path(file, "key"))
            .arg("-out")
            .arg(path(file, "crt"));
        for extension in extensions {
            command.args(["-addext", extension]);
        }
        if let Some(signer) = signer {
            command.arg("-CA").arg(path(signer, "crt")).arg("-CAkey").arg(path(signer, "key"));
        }
        let output = command.output().unwrap_or_else(|error| panic!("openssl does not start: {error}; `make peers` installs it"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
