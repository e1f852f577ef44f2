//! Which handshakes succeed?

use super::curl::{Heard, curl};
use super::{Stage, TLS, text};
use crate::support::Daemon;

fn ask(stage: &Stage, daemon: &Daemon, arguments: &[&str]) -> Heard {
    let (ca, url) = (text(&stage.authority.certificate()), format!("https://localhost:{}/metrics", daemon.address.port()));
    curl([&["--cacert", ca.as_str(), "--ipv4", url.as_str()], arguments].concat())
}

/// So that curl's own library would speak even these versions.
const ANY_VERSION: [&str; 2] = ["--ciphers", "DEFAULT@SECLEVEL=0"];

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let stage = Stage::new();
    let daemon = stage.daemon(TLS).await;
    assert!(daemon.program.output().contains(r#""tls":true"#) || daemon.program.output().contains(r#""tls":"true""#));
    for (arguments, spoken) in [(["--tlsv1.2", "--tls-max", "1.2"], "TLSv1.2"), (["--tlsv1.3", "--tls-max", "1.3"], "TLSv1.3")] {
        let heard = ask(&stage, &daemon, &arguments);
        assert_eq!((heard.exit, heard.status), (0, 200), "{heard:?}");
        assert!(heard.log.contains(&format!("SSL connection using {spoken}")), "{}", heard.log);
        assert!(heard.log.contains("ALPN: server accepted http/1.1"), "{}", heard.log);
        assert!(heard.body.contains("eks_nlb_exporter_build_info"));
    }
    for version in ["1.0", "1.1"] {
        let heard = ask(&stage, &daemon, &[&["--tlsv1.0", "--tls-max", version][..], &ANY_VERSION].concat());
        assert_eq!(heard.exit, 35, "{heard:?}");
        // It is the server that refuses, and not curl.
        assert!(heard.log.contains("(IN), TLS alert"), "{}", heard.log);
    }
}

#[tokio::test]
async fn a_version_and_suites_can_be_chosen() {
    let stage = Stage::new();
    let newest = stage.daemon(&format!("{TLS}  min_version: TLS13\n")).await;
    assert_eq!(ask(&stage, &newest, &["--tlsv1.3"]).status, 200);
    let refused = ask(&stage, &newest, &["--tls-max", "1.2"]);
    assert!(refused.exit == 35 && refused.log.contains("alert protocol version"), "{refused:?}");

    let config = format!(
        "{TLS}  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  \
         curve_preferences: [CurveP384]\n"
    );
    let chosen = stage.daemon_from("chosen.yml", &config).await;
    let heard = ask(&stage, &chosen, &[]);
    assert!(heard.log.contains("TLSv1.2 / ECDHE-ECDSA-CHACHA20-POLY1305"), "the server's order holds: {}", heard.log);
    assert_eq!(ask(&stage, &chosen, &["--curves", "P-384:P-256"]).status, 200);
    for arguments in [["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"], ["--curves", "X25519:P-256"]] {
        let refused = ask(&stage, &chosen, &arguments);
        assert!(refused.exit == 35 && refused.log.contains("alert handshake failure"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_client_that_trusts_somebody_else_does_not_talk() {
    let stage = Stage::new();
    let other = super::Authority::new(stage.path("").as_path(), "other");
    let daemon = stage.daemon(TLS).await;
    let url = format!("https://localhost:{}/metrics", daemon.address.port());
    let heard = curl(["--cacert", &text(&other.certificate()), "--ipv4", &url]);
    assert_eq!(heard.exit, 60, "{heard:?}");
}

#[tokio::test]
async fn a_client_that_speaks_plain_http_is_told_so() {
    let stage = Stage::new();
    let daemon = stage.daemon(TLS).await;
    for arguments in [&[][..], &["--request", "POST", "--data", "x=y"], &["--http1.0"]] {
        let heard = curl([&[daemon.url("/metrics").as_str()], arguments].concat());
        assert_eq!((heard.exit, heard.status), (0, 400), "{heard:?}");
        assert!(heard.body.contains("This port speaks HTTPS"), "{heard:?}");
    }
}

#[tokio::test]
async fn with_client_certificates_only_the_right_ones_are_let_in() {
    let stage = Stage::new();
    stage.authority.certify("scraper", "scraper", "DNS:prometheus.example,URI:spiffe://example/prometheus,IP:10.1.2.3");
    stage.authority.certify("stranger", "stranger", "DNS:wild.example");
    stage.authority.certify("wild", "wild", "DNS:*.example");
    super::Authority::new(stage.path("").as_path(), "other").certify("forged", "scraper", "DNS:prometheus.example");
    let of = |name: &str| {
        let (certificate, key) = (text(&stage.path(&format!("{name}.crt"))), text(&stage.path(&format!("{name}.key"))));
        ["--cert".to_owned(), certificate, "--key".to_owned(), key]
    };
    let heard = |daemon: &Daemon, name: Option<&str>, version: &str| {
        let certificate = name.map(of).into_iter().flatten().collect::<Vec<_>>();
        let arguments: Vec<&str> = certificate.iter().map(String::as_str).chain(["--tls-max", version]).collect();
        ask(&stage, daemon, &arguments).status
    };
    let with = |rest: &str| format!("{TLS}  client_ca_file: ca.crt\n  client_auth_type: {rest}\n");

    let required = stage.daemon_from("required.yml", &with("RequireAndVerifyClientCert")).await;
    let if_given = stage.daemon_from("if-given.yml", &with("VerifyClientCertIfGiven")).await;
    let names = "RequireAndVerifyClientCert\n  client_allowed_sans: ";
    let named: Vec<Daemon> = vec![
        stage.daemon_from("dns.yml", &with(&format!("{names}[nobody.example, prometheus.example]"))).await,
        stage.daemon_from("uri.yml", &with(&format!("{names}['spiffe://example/prometheus']"))).await,
        stage.daemon_from("address.yml", &with(&format!("{names}[10.1.2.3]"))).await,
    ];
    for version in ["1.2", "1.3"] {
        for (name, when_required, when_given) in
            [(Some("scraper"), 200, 200), (Some("stranger"), 200, 200), (Some("forged"), 0, 0), (None, 0, 200)]
        {
            assert_eq!(heard(&required, name, version), when_required, "{name:?} {version}");
            assert_eq!(heard(&if_given, name, version), when_given, "{name:?} {version}");
        }
        for daemon in &named {
            assert_eq!(heard(daemon, Some("scraper"), version), 200, "{version}");
            for name in [Some("stranger"), Some("wild"), Some("forged"), None] {
                assert_eq!(heard(daemon, name, version), 0, "{name:?} {version}");
            }
        }
    }
    assert!(named[0].program.output().contains("ForeignName"), "{}", named[0].program.output());
}

#[tokio::test]
async fn failed_handshakes_are_counted_and_probes_of_the_port_are_not() {
    let stage = Stage::new();
    let daemon = stage.daemon(TLS).await;
    for _ in 0..3 {
        assert_eq!(curl([daemon.url("/metrics").as_str()]).status, 400);
    }
    // A probe of the port is no handshake.
    for _ in 0..3 {
        drop(std::net::TcpStream::connect(daemon.address).unwrap());
    }
    let heard = ask(&stage, &daemon, &[]);
    assert!(heard.body.contains("eks_nlb_web_refusals_total{reason=\"handshake\"} 3\n"), "{}", heard.body);
}
