//! Which texts come again and again? One copy of each: attribute keys, tag keys, zones, subnets, protocols.
//!
//! A thousand load balancers have some hundred thousand keys and values, of which a few hundred differ.

use std::sync::{Arc, LazyLock};

use crate::sources::intern::Interner;

/// Longer texts are rarely the same twice.
const LONGEST: usize = 80;

/// One for all calls: the same zones, subnets and keys come in the answers of several.
static POOL: LazyLock<Interner> = LazyLock::new(Interner::default);

/// A shared copy of `text`.
pub(crate) fn intern(text: &str) -> Arc<str> {
    if text.len() > LONGEST { text.into() } else { POOL.get(text) }
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
