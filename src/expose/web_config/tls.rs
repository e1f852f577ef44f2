//! Which TLS is spoken, with which certificate, and which clients are let in by theirs?

mod names;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, InconsistentKeys, OtherError, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion, version,
};

use super::document::{Complaint, Section};

const KEYS: [&str; 13] = [
    "cert",
    "key",
    "client_ca",
    "cert_file",
    "key_file",
    "client_auth_type",
    "client_ca_file",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];

/// The section `tls_server_config`.
#[derive(Clone, PartialEq)]
pub(super) struct TlsSettings {
    certificate: Pem,
    key: Pem,
    clients: Clients,
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Vec<SupportedCipherSuite>,
    groups: Vec<Group>,
    prefer_server: bool,
}

/// Shows where things come from, and nothing of them.
impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings").field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// Something in PEM, here or in a file.
#[derive(Clone, PartialEq)]
enum Pem {
    Inline(String),
    File(PathBuf),
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Which clients may connect.
#[derive(Debug, Clone, PartialEq)]
enum Clients {
    /// Without a certificate; one is not asked for.
    Any,
    /// With a certificate that an authority of these has signed, or without one.
    VerifiedIfGiven(Pem),
    /// With a certificate that an authority of these has signed, for one of these names if there are any.
    Verified(Pem, Vec<Name>),
}

/// A name that a client's certificate may be for.
#[derive(Debug, Clone, PartialEq)]
enum Name {
    Address(IpAddr),
    /// A DNS name or a URI, letter for letter.
    Text(String),
}

#[derive(Clone, Copy)]
struct Group(&'static dyn SupportedKxGroup);

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

/// Why a certificate, key or list of authorities cannot be used: under which key it stands, and what is wrong.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) key: &'static str,
    pub(super) message: String,
}

/// The section's meaning; `None` where it is empty, and plain HTTP is served.
pub(super) fn read(mut section: Section, folder: &Path) -> Result<Option<TlsSettings>, Complaint> {
    let certificate = pem(&mut section, "cert", "cert_file", folder)?;
    let key = pem(&mut section, "key", "key_file", folder)?;
    let clients = clients(&mut section, folder)?;
    let versions = versions(&mut section)?;
    let suites = suites(&mut section)?;
    let groups = groups(&mut section)?;
    let prefer_server = section.bool("prefer_server_cipher_suites")?;
    let nothing_said = certificate.is_none()
        && key.is_none()
        && clients.is_none()
        && (&versions, &suites, &groups, &prefer_server) == (&None, &None, &None, &None);
    let line = section.line;
    let no_certificate = section.complain(line, "cert_file", "is missing (or cert): TLS needs a certificate");
    let no_key = section.complain(line, "key_file", "is missing (or key): TLS needs the certificate's key");
    section.finish(&KEYS)?;
    if nothing_said {
        return Ok(None);
    }
    Ok(Some(TlsSettings {
        certificate: certificate.ok_or(no_certificate)?,
        key: key.ok_or(no_key)?,
        clients: clients.unwrap_or(Clients::Any),
        versions: versions.unwrap_or_else(|| vec![&version::TLS13, &version::TLS12]),
        suites: suites.unwrap_or_else(|| aws_lc_rs::DEFAULT_CIPHER_SUITES.to_vec()),
        groups: groups.unwrap_or_else(|| aws_lc_rs::DEFAULT_KX_GROUPS.iter().copied().map(Group).collect()),
        prefer_server: prefer_server.unwrap_or(true),
    }))
}

/// A text in the file itself, or the name of a file; not both.
fn pem(section: &mut Section, inline: &str, file: &str, folder: &Path) -> Result<Option<Pem>, Complaint> {
    match (section.text(inline)?, section.text(file)?) {
        (Some(_), Some((line, _))) => {
            Err(section.complain(line, file, format_args!("and {} are both given; one of them is enough", section.path(inline))))
        }
        (Some((_, text)), None) => Ok(Some(Pem::Inline(text))),
        // Complaints name the file, and this would be the key itself.
        (None, Some((line, path))) if path.contains("-----") || path.contains('\n') => {
            let what = format_args!("is no name of a file; the text itself stands under {}", section.path(inline));
            Err(section.complain(line, file, what))
        }
        (None, Some((_, path))) => Ok(Some(Pem::File(folder.join(path)))),
        (None, None) => Ok(None),
    }
}

fn clients(section: &mut Section, folder: &Path) -> Result<Option<Clients>, Complaint> {
    const KEY: &str = "client_auth_type";
    let kind = section.text(KEY)?;
    let authorities = pem(section, "client_ca", "client_ca_file", folder)?;
    let names = section.texts("client_allowed_sans")?;
    let (line, kind) = kind.unwrap_or((section.line, "NoClientCert".to_owned()));
    let refuse = |section: &Section, what: String| Err(section.complain(line, KEY, what));
    let clients = match (kind.as_str(), authorities) {
        ("NoClientCert", None) => None,
        ("NoClientCert", Some(_)) => {
            return refuse(
                section,
                "is NoClientCert, but client_ca_file is given: RequireAndVerifyClientCert makes use of it".into(),
            );
        }
        ("VerifyClientCertIfGiven", Some(authorities)) => Some(Clients::VerifiedIfGiven(authorities)),
        ("RequireAndVerifyClientCert", Some(authorities)) => Some(Clients::Verified(authorities, Vec::new())),
        ("VerifyClientCertIfGiven" | "RequireAndVerifyClientCert", None) => {
            return refuse(
                section,
                format!("is {kind}, but client_ca_file is missing: who has to have signed the certificates?"),
            );
        }
        ("RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert", _) => {
            return refuse(
                section,
                format!("is {kind}, which believes any certificate and so keeps nobody out; use RequireAndVerifyClientCert"),
            );
        }
        _ => {
            return refuse(
                section,
                format!("is {kind:?}, but it may be NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"),
            );
        }
    };
    match (clients, names) {
        (_, Some(names)) if names.is_empty() => Err(section.complain(
            line,
            "client_allowed_sans",
            "is empty: nobody would be let in; leave it out to let in every name",
        )),
        (Some(Clients::Verified(authorities, _)), Some(names)) => {
            let names = names.into_iter().map(|(line, name)| allowed_name(section, line, &name)).collect::<Result<_, _>>()?;
            Ok(Some(Clients::Verified(authorities, names)))
        }
        (_, Some(_)) => {
            let what = "needs client_auth_type: RequireAndVerifyClientCert: else a client could come without a certificate";
            Err(section.complain(line, "client_allowed_sans", what))
        }
        (clients, None) => Ok(clients),
    }
}

fn allowed_name(section: &Section, line: u64, name: &str) -> Result<Name, Complaint> {
    if let Ok(address) = name.parse() {
        return Ok(Name::Address(address));
    }
    // An e-mail address has an @ and no scheme.
    if name.is_empty() || (name.contains('@') && !name.contains(':')) {
        let what = format!("holds {name:?}, but only DNS names, IP addresses and URIs are compared");
        return Err(section.complain(line, "client_allowed_sans", what));
    }
    Ok(Name::Text(name.to_owned()))
}

fn versions(section: &mut Section) -> Result<Option<Vec<&'static SupportedProtocolVersion>>, Complaint> {
    let mut version_of = |key: &str| -> Result<Option<(u64, u8)>, Complaint> {
        let Some((line, name)) = section.text(key)? else { return Ok(None) };
        match name.as_str() {
            "TLS12" => Ok(Some((line, 2))),
            "TLS13" => Ok(Some((line, 3))),
            "TLS10" | "TLS11" => {
                Err(section.complain(line, key, format_args!("is {name}, which is not safe and not spoken; the least is TLS12")))
            }
            _ => Err(section.complain(line, key, format_args!("is {name:?}, but it may be TLS12 or TLS13"))),
        }
    };
    let (least, most) = (version_of("min_version")?, version_of("max_version")?);
    if least.is_none() && most.is_none() {
        return Ok(None);
    }
    let (least, (line, most)) = (least.map_or(2, |(_, version)| version), most.unwrap_or((0, 3)));
    if least > most {
        return Err(section.complain(line, "max_version", "is less than min_version"));
    }
    let all = [(3, &version::TLS13), (2, &version::TLS12)];
    Ok(Some(all.into_iter().filter(|(number, _)| (least..=most).contains(number)).map(|(_, version)| version).collect()))
}

fn suites(section: &mut Section) -> Result<Option<Vec<SupportedCipherSuite>>, Complaint> {
    const KEY: &str = "cipher_suites";
    let Some(list) = section.texts(KEY)?.filter(|list| !list.is_empty()) else { return Ok(None) };
    let mut suites: Vec<SupportedCipherSuite> = Vec::new();
    for (line, name) in list {
        match names::suite(&name) {
            Some(suite) => suites.push(suite),
            None if names::is_refused_suite(&name) => {
                return Err(section.complain(
                    line,
                    KEY,
                    format_args!("holds {name}, which is not spoken: it lacks authenticated encryption or forward secrecy"),
                ));
            }
            None => {
                let all: Vec<_> = names::suites().collect();
                return Err(section.complain(line, KEY, format_args!("holds {name:?}; the suites are {}", all.join(", "))));
            }
        }
    }
    // As elsewhere the list is about TLS 1.2, unless it names one of TLS 1.3.
    if suites.iter().all(|suite| suite.tls13().is_none()) {
        let newer = aws_lc_rs::DEFAULT_CIPHER_SUITES.iter().filter(|suite| suite.tls13().is_some());
        suites.splice(0..0, newer.copied());
    }
    Ok(Some(suites))
}

fn groups(section: &mut Section) -> Result<Option<Vec<Group>>, Complaint> {
    const KEY: &str = "curve_preferences";
    let Some(list) = section.texts(KEY)?.filter(|list| !list.is_empty()) else { return Ok(None) };
    let groups = list.into_iter().map(|(line, name)| {
        let all = || names::groups().collect::<Vec<_>>().join(", ");
        let refuse = || section.complain(line, KEY, format_args!("holds {name:?}; the curves are {}", all()));
        names::group(&name).map(Group).ok_or_else(refuse)
    });
    groups.collect::<Result<_, _>>().map(Some)
}

impl Pem {
    fn key(&self, inline: &'static str, file: &'static str) -> &'static str {
        if matches!(self, Self::Inline(_)) { inline } else { file }
    }

    /// The text, and what to call it in a complaint.
    fn text(&self) -> Result<(Vec<u8>, String), String> {
        match self {
            Self::Inline(text) => Ok((text.as_bytes().to_vec(), "it".to_owned())),
            Self::File(path) => std::fs::read(path)
                .map(|bytes| (bytes, path.display().to_string()))
                .map_err(|error| format!("{} cannot be read: {error}", path.display())),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let (text, name) = self.text()?;
        let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
        match all {
            Ok(all) if all.is_empty() => Err(format!("{name} holds no certificate in PEM form")),
            Ok(all) => Ok(all),
            // Not the parser's own words: they may hold a line of the text.
            Err(_) => Err(format!("{name} is no certificate in PEM form")),
        }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, String> {
        let (text, name) = self.text()?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
            let encrypted = text.windows(9).any(|window| window == b"ENCRYPTED");
            let what = if encrypted {
                "is encrypted, and there is nobody to ask for its password"
            } else {
                "holds no private key in PEM form"
            };
            format!("{name} {what}")
        })
    }
}

impl TlsSettings {
    /// The files it is made from, to notice changes.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let authorities = match &self.clients {
            Clients::Any => None,
            Clients::VerifiedIfGiven(authorities) | Clients::Verified(authorities, _) => Some(authorities),
        };
        let files = [Some(&self.certificate), Some(&self.key), authorities].into_iter().flatten().filter_map(|pem| match pem {
            Pem::File(path) => Some(path.clone()),
            Pem::Inline(_) => None,
        });
        files.collect()
    }

    /// Whether a client without a certificate is turned away.
    pub(super) fn requires_certificate(&self) -> bool {
        matches!(self.clients, Clients::Verified(..))
    }

    /// Reads the certificates and makes what the handshakes need.
    pub(super) fn server_config(&self) -> Result<ServerConfig, Unusable> {
        let key = self.certificate.key("cert", "cert_file");
        let chain = self.certificate.certificates().map_err(|message| Unusable { key, message })?;
        let private_key = self.key.key("key", "key_file");
        let private = self.key.private_key().map_err(|message| Unusable { key: private_key, message })?;

        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.clone_from(&self.suites);
        provider.kx_groups = self.groups.iter().map(|group| group.0).collect();
        let provider = Arc::new(provider);
        // The parser's own words name its kinds of keys, and nothing that helps.
        let private = provider.key_provider.load_private_key(private).map_err(|_| Unusable {
            key: private_key,
            message: "the private key cannot be used: it is neither RSA nor ECDSA nor Ed25519, or damaged".to_owned(),
        })?;
        let certified = CertifiedKey::new(chain, private);
        match certified.keys_match() {
            // Unknown: a key that does not tell its public half.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                return Err(Unusable { key: private_key, message: "the key is not that of the certificate".to_owned() });
            }
            Err(error) => return Err(Unusable { key, message: format!("the certificate cannot be used: {error}") }),
        }
        let together = |error: Error| Unusable {
            key: "cipher_suites",
            message: format!("no handshake is possible with these suites, curves and versions: {error}"),
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&self.versions).map_err(together)?;
        let builder = match self.verifier(&provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.ignore_client_order = self.prefer_server;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Option<Arc<dyn ClientCertVerifier>>, Unusable> {
        let (authorities, names) = match &self.clients {
            Clients::Any => return Ok(None),
            Clients::VerifiedIfGiven(authorities) => (authorities, &[][..]),
            Clients::Verified(authorities, names) => (authorities, &names[..]),
        };
        let key = authorities.key("client_ca", "client_ca_file");
        let unusable = |message: String| Unusable { key, message };
        let mut roots = RootCertStore::empty();
        for certificate in authorities.certificates().map_err(unusable)? {
            roots.add(certificate).map_err(|error| unusable(format!("a certificate in it cannot be used: {error}")))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = if self.requires_certificate() { builder } else { builder.allow_unauthenticated() };
        let verifier = builder.build().map_err(|error| unusable(error.to_string()))?;
        if names.is_empty() {
            return Ok(Some(verifier));
        }
        Ok(Some(Arc::new(OnlyNames { verifier, names: names.to_vec() })))
    }
}

/// Lets in whom `verifier` lets in, if the certificate is for one of the names.
#[derive(Debug)]
struct OnlyNames {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<Name>,
}

impl OnlyNames {
    fn allows(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok(parsed) = webpki::EndEntityCert::try_from(certificate) else { return false };
        self.names.iter().any(|name| match name {
            Name::Address(address) => parsed.verify_is_valid_for_subject_name(&ServerName::IpAddress((*address).into())).is_ok(),
            // Letter for letter: what a certificate for *.example.com may do is not said by a list with a.example.com.
            Name::Text(text) => {
                parsed.valid_dns_names().any(|name| name == text) || parsed.valid_uri_names().any(|name| name == text)
            }
        })
    }
}

/// A certificate that is good, but for somebody else.
#[derive(Debug, thiserror::Error)]
#[error("the client's certificate is for none of client_allowed_sans")]
struct ForeignName;

impl ClientCertVerifier for OnlyNames {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(certificate, intermediates, now)?;
        if self.allows(certificate) {
            Ok(verified)
        } else {
            Err(CertificateError::Other(OtherError(Arc::new(ForeignName))).into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
