use super::*;

fn parse(text: &str) -> Result<WebConfig, String> {
    WebConfig::parse(text, Path::new("/etc/web/web.yml")).map_err(|error| error.to_string())
}

const HASH: &str = "$2y$04$DB0VvDIxX7s2rbyHGHdeM.TtJ.ZmfYyfGIbTxBD2LfZ9WnSvFZ8pC";

#[test]
fn an_empty_file_asks_for_nothing() {
    for text in [
        "",
        "\n",
        "# nothing\n",
        "tls_server_config:\nhttp_server_config: {}\nbasic_auth_users:\n",
        "rate_limit: {interval: 0s}\n",
        // As the format's own page says it, and with what stands beside it in a template.
        "rate_limit: {interval: 0}\n",
        "rate_limit:\n  interval: 0\n  burst: 0\n",
    ] {
        assert_eq!(parse(text), Ok(WebConfig::default()), "{text:?}");
    }
}

#[test]
fn every_key_of_the_format_can_be_said() {
    let config = parse(&format!(
        "tls_server_config:\n  cert_file: tls.crt\n  key_file: /run/tls.key\n  client_auth_type: RequireAndVerifyClientCert\n  \
         client_ca_file: ca.crt\n  client_allowed_sans: [a.example, 10.0.0.1, 'spiffe://x/y']\n  min_version: TLS12\n  \
         max_version: TLS13\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n  prefer_server_cipher_suites: false\n  \
         curve_preferences: [X25519, CurveP256]\nhttp_server_config:\n  http2: false\n  headers:\n    \
         Strict-Transport-Security: max-age=1\n    X-Frame-Options: deny\n    X-Content-Type-Options: nosniff\n    \
         X-XSS-Protection: 0\n    Content-Security-Policy: default-src 'self'\nbasic_auth_users:\n  alice: {HASH}\n  \
         123: {HASH}\nrate_limit:\n  interval: 1s\n  burst: 20\n"
    ))
    .unwrap();
    let tls = config.tls.as_ref().unwrap();
    assert_eq!(tls.files(), ["/etc/web/tls.crt", "/run/tls.key", "/etc/web/ca.crt"].map(PathBuf::from), "relative to the file");
    assert!(tls.requires_certificate());
    assert_eq!(config.headers.len(), 5);
    assert!(config.warnings.is_empty() && config.rate_limit.is_some());
}

#[test]
fn inline_material_needs_no_file() {
    let config =
        parse("tls_server_config: {cert: PEM, key: PEM, client_ca: PEM, client_auth_type: VerifyClientCertIfGiven}\n").unwrap();
    assert_eq!(config.tls.unwrap().files(), Vec::<PathBuf>::new());
}

#[test]
fn what_is_not_known_or_not_possible_is_refused_by_name_and_line() {
    let tls = |rest: &str| format!("tls_server_config:\n  cert_file: a\n  key_file: b\n  {rest}\n");
    let ca = |rest: &str| tls(&format!("client_ca_file: c\n  {rest}"));
    for (text, line, named) in [
        ("tls_config: {}\n".to_owned(), 1, "tls_config is not known; the keys of the file are tls_server_config,"),
        ("\nbasic_auth_user: {}\n".to_owned(), 2, "basic_auth_user is not known"),
        ("auth_excluded_paths: [/-/healthy]\n".to_owned(), 1, "auth_excluded_paths is not known"),
        (tls("ca_file: x"), 4, "tls_server_config.ca_file is not known"),
        (
            "http_server_config: {timeout: 1}\n".to_owned(),
            1,
            "http_server_config.timeout is not known; the keys of http_server_config are http2, headers",
        ),
        (
            "http_server_config: {headers: {Server: x}}\n".to_owned(),
            1,
            "headers.Server cannot be set; the headers are Content-Security-Policy,",
        ),
        ("http_server_config: {headers: {x-frame-options: deny}}\n".to_owned(), 1, "headers.x-frame-options cannot be set"),
        (
            "http_server_config: {headers: {X-Frame-Options: allow}}\n".to_owned(),
            1,
            "is \"allow\", but it may be deny or sameorigin",
        ),
        (
            "http_server_config: {headers: {Content-Security-Policy: \"a\\nb\"}}\n".to_owned(),
            1,
            "a character that no header may have",
        ),
        (
            "http_server_config: {http2: maybe}\n".to_owned(),
            1,
            "http_server_config.http2 is a text, but it has to be true or false",
        ),
        ("rate_limit: {interval: 1s, bursts: 1}\n".to_owned(), 1, "rate_limit.burst is missing"),
        ("rate_limit: {interval: 1s, burst: 1, per: client}\n".to_owned(), 1, "rate_limit.per is not known"),
        ("rate_limit:\n  interval: 1s\n  burst: 0\n".to_owned(), 3, "rate_limit.burst is 0, but without at least 1"),
        ("rate_limit: {interval: fast, burst: 1}\n".to_owned(), 1, "is \"fast\", but a time is written as 1s"),
        ("rate_limit: {interval: 5, burst: 1}\n".to_owned(), 1, "rate_limit.interval is \"5\", but a time is written as 1s"),
        ("tls_server_config: {cert_file: a}\n".to_owned(), 1, "tls_server_config.key_file is missing"),
        ("tls_server_config: {key_file: a}\n".to_owned(), 1, "tls_server_config.cert_file is missing"),
        ("tls_server_config: {min_version: TLS13}\n".to_owned(), 1, "tls_server_config.cert_file is missing"),
        (tls("cert: PEM"), 2, "tls_server_config.cert_file and tls_server_config.cert are both given"),
        (tls("min_version: TLS10"), 4, "tls_server_config.min_version is TLS10, which is not safe"),
        (tls("min_version: TLS11"), 4, "is TLS11, which is not safe"),
        (tls("max_version: TLS14"), 4, "tls_server_config.max_version is \"TLS14\", but it may be TLS12 or TLS13"),
        (tls("min_version: TLS13\n  max_version: TLS12"), 5, "max_version is less than min_version"),
        (tls("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]"), 4, "holds TLS_RSA_WITH_AES_128_CBC_SHA, which is not spoken"),
        (tls("cipher_suites: [AES]"), 4, "cipher_suites holds \"AES\"; the suites are TLS_AES_128_GCM_SHA256,"),
        (tls("cipher_suites: AES"), 4, "is a text, but it has to be a list of texts"),
        (tls("curve_preferences: [CurveP521]"), 4, "curve_preferences holds \"CurveP521\"; the curves are X25519,"),
        (ca("client_auth_type: RequestClientCert"), 5, "client_auth_type is RequestClientCert, which believes any certificate"),
        (ca("client_auth_type: RequireAnyClientCert"), 5, "is RequireAnyClientCert, which believes any certificate"),
        (ca("client_auth_type: Sometimes"), 5, "is \"Sometimes\", but it may be NoClientCert,"),
        (tls("client_auth_type: RequireAndVerifyClientCert"), 4, "client_ca_file is missing"),
        (ca("client_auth_type: NoClientCert"), 5, "is NoClientCert, but client_ca_file is given"),
        (
            ca("client_auth_type: VerifyClientCertIfGiven\n  client_allowed_sans: [a]"),
            5,
            "client_allowed_sans needs client_auth_type",
        ),
        (
            ca("client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [a@b.example]"),
            6,
            "holds \"a@b.example\", but only DNS names",
        ),
        (
            ca("client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: []"),
            5,
            "client_allowed_sans is empty: nobody would be let in",
        ),
        (
            "tls_server_config:\n  cert_file: a\n  key_file: |\n    -----BEGIN PRIVATE KEY-----\n    MIIE\n".to_owned(),
            3,
            "tls_server_config.key_file is no name of a file; the text itself stands under tls_server_config.key",
        ),
        ("basic_auth_users: {'': x}\n".to_owned(), 1, "cannot be sent"),
        ("basic_auth_users: {'a:b': x}\n".to_owned(), 1, "cannot be sent"),
        ("basic_auth_users: {alice: 7}\n".to_owned(), 1, "basic_auth_users.alice is no bcrypt hash"),
        ("- a\n- b\n".to_owned(), 1, "the file is a list, but it is made of keys and values"),
        ("basic_auth_users: secret\n".to_owned(), 1, "basic_auth_users is a text, but it is made of keys and values"),
    ] {
        let message = parse(&text).expect_err(&text);
        assert!(message.starts_with(&format!("web configuration file /etc/web/web.yml, line {line}: ")), "{text}: {message}");
        assert!(message.contains(named), "{text}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    let message = parse("http_server_config: {http2: false}\nhttp_server_config: {}\n").unwrap_err();
    assert!(message.contains("http_server_config") && message.contains('2'), "{message}");
}

#[test]
fn no_complaint_repeats_a_secret() {
    for text in [
        "basic_auth_users: {alice: hunter2}\n",
        "basic_auth_users: {alice: hunter2\n",
        "basic_auth_users: [hunter2]\n",
        "basic_auth_users: hunter2\n",
        "basic_auth_users:\n  alice: hunter2\n  alice: hunter2\n",
        "basic_auth_users:\n  alice: \"hunter2\n",
        "basic_auth_users:\n\talice: hunter2\n",
        "tls_server_config: {key: hunter2, cert: hunter2, oops: hunter2}\n",
        "tls_server_config: {key: [hunter2]}\n",
        "tls_server_config: hunter2\n",
        "key: hunter2\n",
        "tls_server_config:\n  key: |\n  hunter2\n : hunter2\n",
    ] {
        let message = parse(text).expect_err(text);
        assert!(!message.contains("hunter2"), "{text:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{text:?}: {message}");
    }
    for misplaced in [
        "X: 1",
        "{X: 1}",
        "http_server_config: {headers: {X-Frame-Options: X}}",
        "http_server_config: {headers: {X: 1}}",
        "http_server_config: {http2: X}",
        "tls_server_config: {min_version: X}",
        "tls_server_config: {cipher_suites: [X]}",
        "rate_limit: {interval: X}",
        "basic_auth_users: {a: X X}",
        "http_server_config: X",
        "X",
    ] {
        let message = parse(&misplaced.replace('X', HASH)).expect_err(misplaced);
        assert!(!message.contains(&HASH[HASH.len() - 16..]), "{misplaced:?}: {message}");
    }
    let named = parse("tls_server_config: {client_auth_type: RequireAndVerifyClientCerts}").unwrap_err();
    assert!(named.contains("RequireAndVerifyClientCerts"), "{named}");
    let shown = format!(
        "{:?}",
        parse(&format!("tls_server_config: {{cert: hunter2, key: hunter2}}\nbasic_auth_users: {{a: {HASH}}}\n")).unwrap()
    );
    assert!(!shown.contains("hunter2") && !shown.contains("TtJ."), "{shown}");
}

#[test]
fn what_has_no_effect_is_said() {
    let warned = |text: &str| parse(text).unwrap().warnings;
    assert!(warned("http_server_config: {http2: true}\n")[0].contains("only HTTP/1.1 is served"));
    assert!(warned(&format!("basic_auth_users: {{a: {HASH}}}\n"))[0].contains("clear text"));
}

mod untrusted {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(?s).{0,200}") {
            if let Err(message) = parse(&text) {
                prop_assert_eq!(message.lines().count(), 1);
            }
        }

        #[test]
        fn no_yaml_is_too_strange(
            section in "(tls_server_config|http_server_config|basic_auth_users|rate_limit|x)",
            key in "(cert|key|client_ca|cipher_suites|headers|http2|interval|burst|[a-z]{0,5})",
            value in "(\\PC{0,20}|\\[.{0,10}\\]|\\{.{0,10}\\}|[0-9.e+-]{0,12}|true|~)",
        ) {
            let _ = parse(&format!("{section}:\n  {key}: {value}\n"));
        }
    }
}
