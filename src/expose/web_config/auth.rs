//! Who may ask? Names and passwords, compared with their bcrypt hashes.
//!
//! One comparison costs tens of milliseconds of CPU, on purpose. So it runs off the threads that serve, one at a time, and what was
//! right is remembered, under a key of this process's own. What was wrong is not remembered.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::document::{Complaint, Node, Section, Value};

/// A comparison at cost 18 takes some 20 seconds; at a higher one nobody would ever get an answer.
const HIGHEST_COST: u32 = 18;

/// How many may wait for a comparison. More are told to come again: they must not hold memory without bound.
const WAITING_ROOM: usize = 100;

/// How many right credentials are remembered.
const REMEMBERED: usize = 100;

/// bcrypt's own alphabet; some programs leave bits of the last character set.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);
/// What clients send: with or without padding.
const HEADER_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The section `basic_auth_users`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Users(BTreeMap<String, Hash>);

/// A bcrypt hash.
#[derive(Clone, PartialEq)]
struct Hash {
    cost: u32,
    salt: [u8; 16],
    digest: [u8; 23],
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hash").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl Hash {
    /// `$2y$10$` + 22 characters of salt + 31 of digest. The letter tells which program made it; what they compute is the same.
    fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "is no bcrypt hash: it has the form $2y$10$ and 53 more characters; `htpasswd -nBC 10 NAME` makes one";
        let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix)).ok_or(FORM)?;
        let (cost, rest) = rest.split_once('$').ok_or(FORM)?;
        if cost.len() != 2 || rest.len() != 53 || !rest.is_ascii() {
            return Err(FORM);
        }
        let cost = cost.parse().map_err(|_| FORM)?;
        if !(4..=31).contains(&cost) {
            return Err(FORM);
        }
        if cost > HIGHEST_COST {
            return Err("has a cost of more than 18: each login would take minutes");
        }
        let (salt, digest) = rest.split_at(22);
        let decode = |text: &str| BASE64.decode(text).map_err(|_| FORM);
        Ok(Self {
            cost,
            salt: decode(salt)?.try_into().map_err(|_| FORM)?,
            digest: decode(digest)?.try_into().map_err(|_| FORM)?,
        })
    }

    /// Slow, and as slow for a wrong password as for the right one.
    fn is_of(&self, password: &[u8]) -> bool {
        // bcrypt takes the first 72 bytes, the zero at the end included.
        let mut bytes = password[..password.len().min(72)].to_vec();
        if bytes.len() < 72 {
            bytes.push(0);
        }
        bcrypt::bcrypt(self.cost, self.salt, &bytes)[..23].ct_eq(&self.digest).into()
    }
}

impl Users {
    pub(super) fn read(section: Section) -> Result<Self, Complaint> {
        let mut users = BTreeMap::new();
        for (name, Node { line, value }) in section.rest() {
            let refuse = |what: &str| Complaint::new(line, format!("basic_auth_users.{name} {what}"));
            if name.is_empty() || name.contains(':') {
                return Err(refuse("cannot be sent: a name is not empty and has no colon"));
            }
            let Value::Text(hash) = value else { return Err(refuse("is no bcrypt hash")) };
            let hash = Hash::parse(&hash).map_err(refuse)?;
            users.insert(name, hash);
        }
        Ok(Self(users))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is to be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The name and the password are right, or nobody has to have any.
    Welcome,
    /// They are missing or wrong.
    Unknown,
    /// Too many wait for a comparison already.
    Busy,
}

/// Compares what requests bring with what the file says.
#[derive(Debug)]
pub(super) struct Authenticator {
    users: Users,
    /// For this process only; without it the remembered values tell nothing.
    key: hmac::Key,
    /// Chooses a stand-in for a name that nobody has, always the same one.
    stand_in: RandomState,
    right: Mutex<HashSet<[u8; 32]>>,
    comparing: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Authenticator {
    pub(super) fn new(users: Users) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).expect("the system has randomness");
        Self {
            users,
            key,
            stand_in: RandomState::new(),
            right: Mutex::default(),
            comparing: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(WAITING_ROOM),
        }
    }

    pub(super) fn users(&self) -> &Users {
        &self.users
    }

    /// Whether these headers show a right name and password.
    pub(super) async fn check(self: &Arc<Self>, headers: &HeaderMap) -> Verdict {
        if self.users.is_empty() {
            return Verdict::Welcome;
        }
        let Some((name, password)) = credentials(headers) else { return Verdict::Unknown };
        let seal = self.seal(&name, &password);
        if self.remembers(&seal) {
            return Verdict::Welcome;
        }
        let Ok(_seat) = self.waiting.try_acquire() else { return Verdict::Busy };
        let turn = Arc::clone(&self.comparing).acquire_owned().await.expect("never closed");
        // Many may have come with the same credentials at the same time.
        if self.remembers(&seal) {
            return Verdict::Welcome;
        }
        let this = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let right = this.compare(&name, &password);
            if right {
                this.remember(seal);
            }
            // The turn goes with the work: a client that hangs up does not stop it, and the next one would run beside it.
            drop(turn);
            right
        });
        if work.await.unwrap_or(false) { Verdict::Welcome } else { Verdict::Unknown }
    }

    fn remember(&self, seal: [u8; 32]) {
        let mut remembered = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(seal);
    }

    /// For a name that nobody has somebody else's hash is computed: the time that it takes tells nothing.
    fn compare(&self, name: &[u8], password: &[u8]) -> bool {
        let user = std::str::from_utf8(name).ok().and_then(|name| self.users.0.get(name));
        let hash = user.or_else(|| {
            let number = usize::try_from(self.stand_in.hash_one(name)).unwrap_or(usize::MAX) % self.users.0.len();
            self.users.0.values().nth(number)
        });
        let right = hash.is_some_and(|hash| hash.is_of(password));
        user.is_some() & right
    }

    fn seal(&self, name: &[u8], password: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        // A name has no colon.
        for part in [name, b":", password] {
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    fn remembers(&self, seal: &[u8; 32]) -> bool {
        self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(seal)
    }
}

/// Name and password of `Authorization: Basic`, as bytes: nothing says that they are UTF-8.
fn credentials(headers: &HeaderMap) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (all.next()?, all.next()) else { return None };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = HEADER_BASE64.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some((decoded[..colon].to_vec(), decoded[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests;
