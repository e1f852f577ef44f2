//! Is a wrong file named in one sentence, before anything is served?

use super::{SECRET, Stage, TLS};

#[test]
fn a_file_that_cannot_be_used_ends_the_start_with_2_and_one_sentence() {
    let stage = Stage::new();
    stage.write("empty", "");
    stage.write("words", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n");
    stage.authority.certify("other", "other", "DNS:other");
    let tls = |certificate: &str, key: &str| format!("tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\n");
    for (config, named) in [
        ("tls_config: {}\n".to_owned(), "line 1: tls_config is not known"),
        (format!("{TLS}  session_tickets: true\n"), "line 4: tls_server_config.session_tickets is not known"),
        (format!("{TLS}  client_auth_type: RequestClientCert\n"), "RequestClientCert, which believes any certificate"),
        (format!("{TLS}  min_version: TLS11\n"), "line 4: tls_server_config.min_version is TLS11"),
        (
            format!("{TLS}  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n"),
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, which is not spoken",
        ),
        (
            format!("{TLS}  max_version: TLS12\n  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"),
            "tls_server_config.cipher_suites: no handshake is possible",
        ),
        ("http_server_config: {headers: {X-Powered-By: x}}\n".to_owned(), "headers.X-Powered-By cannot be set"),
        ("basic_auth_users: {alice: hunter2}\n".to_owned(), "basic_auth_users.alice is no bcrypt hash"),
        ("auth_excluded_paths: [/metrics]\n".to_owned(), "auth_excluded_paths is not known"),
        ("rate_limit: {burst: many, interval: 1s}\n".to_owned(), "rate_limit.burst is a text, but it has to be a whole number"),
        ("basic_auth_users: {alice: 'hunter2\n".to_owned(), "web.yml"),
        (tls("missing.crt", "server.key"), "tls_server_config.cert_file: "),
        (tls("server.crt", "missing.key"), "missing.key cannot be read"),
        (tls("empty", "server.key"), "empty holds no certificate in PEM form"),
        (tls("server.crt", "empty"), "empty holds no private key in PEM form"),
        (tls("server.crt", "words"), "tls_server_config.key_file: the private key cannot be used"),
        (tls("server.crt", "other.key"), "tls_server_config.key_file: the key is not that of the certificate"),
        (tls("server.crt", "server.crt"), "server.crt holds no private key in PEM form"),
        (format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: empty\n"), "client_ca_file: "),
    ] {
        stage.write("web.yml", &config);
        for check in [None, Some("--config.check")] {
            let output = stage.command("web.yml").args(check).output().unwrap();
            let words = String::from_utf8(output.stderr).unwrap();
            let complaint = words.lines().last().unwrap_or_default();
            assert_eq!(output.status.code(), Some(2), "{config}: {words}");
            assert!(complaint.starts_with("error: web configuration file ") && complaint.contains(named), "{config}: {words}");
            assert!(!words.contains("hunter2"), "{words}");
        }
    }
    std::fs::remove_file(stage.path("web.yml")).unwrap();
    let output = stage.command("web.yml").output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(words.contains("web.yml cannot be read: No such file"), "{words}");
}

#[test]
fn a_good_file_passes_its_check() {
    let stage = Stage::new();
    stage.write("web.yml", &format!("{TLS}http_server_config: {{http2: true}}\nbasic_auth_users: {{alice: {SECRET}}}\n"));
    let output = stage.command("web.yml").arg("--config.check").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stderr).unwrap().contains("only HTTP/1.1 is served"), "a key without effect is said");
}
