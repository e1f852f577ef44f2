//! How are the same few texts kept once? Zones, nodes, namespaces, keys of tags and attributes repeat thousands of times.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use crate::inventory::ids::ObjectName;
use crate::inventory::kube::StringMap;

/// Shared texts. What nobody uses any more goes when the set has doubled.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: Mutex<Texts>,
}

#[derive(Debug, Default)]
struct Texts {
    set: HashSet<Arc<str>>,
    swept_at: usize,
}

impl Interner {
    /// The shared copy of a text.
    pub(crate) fn get(&self, text: &str) -> Arc<str> {
        let mut texts = self.texts.lock().expect("no holder of this lock panics");
        if let Some(known) = texts.set.get(text) {
            return Arc::clone(known);
        }
        if texts.set.len() > 1024 + 2 * texts.swept_at {
            texts.set.retain(|text| Arc::strong_count(text) > 1);
            texts.swept_at = texts.set.len();
        }
        let text: Arc<str> = text.into();
        texts.set.insert(Arc::clone(&text));
        text
    }

    /// Labels or annotations.
    pub(crate) fn map(&self, map: &BTreeMap<String, String>) -> StringMap {
        map.iter().map(|(key, value)| (self.get(key), self.get(value))).collect()
    }

    /// A name whose namespace is shared.
    pub(crate) fn name(&self, namespace: &str, name: &str) -> ObjectName {
        ObjectName { namespace: self.get(namespace), name: self.get(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_kept_once_and_unused_ones_go() {
        let interner = Interner::default();
        let kept = interner.get("us-east-1a");
        assert!(Arc::ptr_eq(&kept, &interner.get("us-east-1a")));
        for number in 0..10_000 {
            interner.get(&format!("pod-{number}"));
        }
        assert!(Arc::ptr_eq(&kept, &interner.get("us-east-1a")));
        assert!(interner.texts.lock().unwrap().set.len() < 3_000);
    }
}
