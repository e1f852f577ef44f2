//! Which texts come again and again? One copy of each: attribute keys, tag keys, zones, subnets, protocols.
//!
//! A thousand load balancers have some hundred thousand keys and values, of which a few hundred differ.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex};

/// Longer texts are rarely the same twice.
const LONGEST: usize = 80;

/// When so many differ they are no vocabulary: the pool starts again. What is in use stays, by its own references.
const MOST: usize = 50_000;

static POOL: LazyLock<Mutex<HashSet<Arc<str>>>> = LazyLock::new(Mutex::default);

/// A shared copy of `text`.
pub(crate) fn intern(text: &str) -> Arc<str> {
    if text.len() > LONGEST {
        return text.into();
    }
    let mut pool = POOL.lock().expect("nothing panics while it holds this lock");
    if let Some(known) = pool.get(text) {
        return Arc::clone(known);
    }
    if pool.len() >= MOST {
        pool.clear();
    }
    let shared: Arc<str> = text.into();
    pool.insert(Arc::clone(&shared));
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_kept_once() {
        assert!(Arc::ptr_eq(&intern("load_balancing.cross_zone.enabled"), &intern("load_balancing.cross_zone.enabled")));
        assert_eq!(&*intern(&"x".repeat(1_000)), "x".repeat(1_000));
    }
}
