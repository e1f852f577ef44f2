use http::HeaderValue;

use super::*;

fn authenticator(users: &[(&str, &str)]) -> Arc<Authenticator> {
    let users = users.iter().map(|(name, hash)| ((*name).to_owned(), Hash::parse(hash).unwrap())).collect();
    Arc::new(Authenticator::new(Users(users)))
}

fn hash(password: &str) -> String {
    let salt = [7; 16];
    let mut bytes = password.as_bytes()[..password.len().min(72)].to_vec();
    if bytes.len() < 72 {
        bytes.push(0);
    }
    format!("$2y$04${}{}", BASE64.encode(salt), BASE64.encode(&bcrypt::bcrypt(4, salt, &bytes)[..23]))
}

fn basic(name: &str, password: &str) -> HeaderMap {
    let encoded = HEADER_BASE64.encode(format!("{name}:{password}"));
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(&format!("Basic {encoded}")).unwrap())])
}

fn raw(value: &[u8]) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap())])
}

#[tokio::test]
async fn only_the_right_password_of_the_right_user_is_let_in() {
    let authenticator = authenticator(&[("alice", &hash("secret")), ("bob", &hash("other")), ("zoë", &hash("grün:weiß"))]);
    for (name, password, expected) in [
        ("alice", "secret", Verdict::Welcome),
        ("alice", "secret", Verdict::Welcome),
        ("alice", "other", Verdict::Unknown),
        ("alice", "", Verdict::Unknown),
        ("alice", "secret ", Verdict::Unknown),
        ("Alice", "secret", Verdict::Unknown),
        ("bob", "other", Verdict::Welcome),
        ("bob", "secret", Verdict::Unknown),
        ("eve", "secret", Verdict::Unknown),
        ("eve", "other", Verdict::Unknown),
        ("", "secret", Verdict::Unknown),
        ("zoë", "grün:weiß", Verdict::Welcome),
        ("zoë", "grün", Verdict::Unknown),
    ] {
        assert_eq!(authenticator.check(&basic(name, password)).await, expected, "{name}:{password}");
    }
    assert_eq!(authenticator.right.lock().unwrap().len(), 3, "what was wrong is not remembered");
}

#[tokio::test]
async fn a_password_of_a_user_is_not_one_of_another_with_the_same_name_and_password_put_together() {
    let authenticator = authenticator(&[("ab", &hash("c")), ("a", &hash("x"))]);
    assert_eq!(authenticator.check(&basic("ab", "c")).await, Verdict::Welcome);
    assert_eq!(authenticator.check(&basic("a", "bc")).await, Verdict::Unknown);
}

#[tokio::test]
async fn other_headers_are_no_credentials() {
    let authenticator = authenticator(&[("alice", &hash("secret"))]);
    assert_eq!(authenticator.check(&HeaderMap::new()).await, Verdict::Unknown);
    for value in [
        &b"Basic"[..],
        b"Basic ",
        b"Basic %%%",
        b"Bearer YWxpY2U6c2VjcmV0",
        b"YWxpY2U6c2VjcmV0",
        b"Basic YWxpY2U=",
        b"Basic \xff\xfe",
        b"Basic YWxpY2U6c2VjcmV0 x",
    ] {
        assert_eq!(authenticator.check(&raw(value)).await, Verdict::Unknown, "{value:?}");
    }
    for value in [&b"basic YWxpY2U6c2VjcmV0"[..], b"BASIC  YWxpY2U6c2VjcmV0"] {
        assert_eq!(authenticator.check(&raw(value)).await, Verdict::Welcome, "{value:?}");
    }
    let mut two = basic("alice", "secret");
    two.append(AUTHORIZATION, HeaderValue::from_static("Basic eDp5"));
    assert_eq!(authenticator.check(&two).await, Verdict::Unknown, "which of two?");
}

#[tokio::test]
async fn without_users_everybody_is_welcome() {
    assert_eq!(authenticator(&[]).check(&HeaderMap::new()).await, Verdict::Welcome);
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let authenticator = authenticator(&[("alice", &hash(&"x".repeat(72)))]);
    for suffix in 0..(REMEMBERED + 10) {
        // Only the first 72 bytes count for bcrypt, so each of these is right.
        let password = format!("{}{suffix}", "x".repeat(72));
        assert_eq!(authenticator.check(&basic("alice", &password)).await, Verdict::Welcome);
    }
    assert!(authenticator.right.lock().unwrap().len() <= REMEMBERED);
}

#[tokio::test]
async fn who_finds_the_waiting_room_full_is_told_to_come_again_and_who_is_remembered_is_not() {
    let authenticator = authenticator(&[("alice", &hash("secret"))]);
    assert_eq!(authenticator.check(&basic("alice", "secret")).await, Verdict::Welcome);
    let all = authenticator.waiting.acquire_many(u32::try_from(WAITING_ROOM).unwrap()).await.unwrap();
    assert_eq!(authenticator.check(&basic("alice", "wrong")).await, Verdict::Busy);
    assert_eq!(authenticator.check(&basic("alice", "secret")).await, Verdict::Welcome);
    drop(all);
    assert_eq!(authenticator.check(&basic("alice", "wrong")).await, Verdict::Unknown);
}

#[test]
fn who_hangs_up_does_not_let_the_next_comparison_begin_beside_its_own() {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let authenticator = authenticator(&[("alice", &hash("secret"))]);
        // The one thread for such work is busy, so the comparison has been begun and goes on as long as this test wants.
        let (release, released) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || released.recv());
        let headers = basic("alice", "secret");
        tokio::select! {
            biased;
            verdict = authenticator.check(&headers) => panic!("{verdict:?} without a comparison"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(authenticator.comparing.available_permits(), 0, "it goes on, and nobody else's begins");
        release.send(()).unwrap();
        busy.await.unwrap().unwrap();
        let _turn = authenticator.comparing.acquire().await.unwrap();
        assert_eq!(authenticator.right.lock().unwrap().len(), 1, "what came of it is not lost");
    });
}

#[test]
fn hashes_of_other_programs_are_read() {
    // Vectors of OpenBSD's implementation, as jBCrypt's tests have them.
    for (password, hash) in [
        ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
        ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
        ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
    ] {
        assert!(Hash::parse(hash).unwrap().is_of(password.as_bytes()), "{password:?}");
        assert!(!Hash::parse(hash).unwrap().is_of(b"b"), "{password:?}");
    }
}

#[test]
fn what_is_no_hash_is_refused() {
    for text in [
        "",
        "secret",
        "$2y$10$",
        "$1$salt$0123456789012345678901234567890123456789012345678901",
        "$2x$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        "$2a$03$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        "$2a$32$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        "$2a$6$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfx",
        "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVf!e",
        "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfü",
    ] {
        assert!(Hash::parse(text).is_err(), "{text}");
    }
    let dear = Hash::parse("$2a$19$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe").unwrap_err();
    assert!(dear.contains("more than 18"), "{dear}");
}

proptest::proptest! {
    #![proptest_config(crate::mutation::one_in(4))]

    #[test]
    fn untrusted_credentials_let_nobody_in_but_by_the_right_bytes(damage in crate::mutation::damage(), raw in crate::mutation::odd_text()) {
        let right = HEADER_BASE64.encode("alice:secret");
        let header = crate::mutation::damaged_text(&format!("Basic {right}"), &damage);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let authenticator = authenticator(&[("alice", &hash("secret"))]);
        for value in [header, raw] {
            let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else { continue };
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            let expected = match credentials(&headers) {
                Some((name, password)) if name == b"alice" && password == b"secret" => Verdict::Welcome,
                _ => Verdict::Unknown,
            };
            proptest::prop_assert_eq!(runtime.block_on(authenticator.check(&headers)), expected);
        }
    }
}
