//! What did a watch bring since the last look? A list that replaces everything, single changes, or both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::inventory::ids::ObjectName;
use crate::inventory::parts::List;

/// News of one watch, of objects of type `V`. Nodes have an empty namespace.
#[derive(Debug)]
pub(super) struct Batch<V> {
    /// A complete list: what is not in it is gone.
    pub(super) list: Option<BTreeMap<ObjectName, V>>,
    /// What changed since; `None` is a deletion.
    pub(super) changes: BTreeMap<ObjectName, Option<V>>,
    /// What exists and could not be read: what is known of it stays.
    pub(super) unreadable: BTreeSet<ObjectName>,
}

impl<V> Default for Batch<V> {
    fn default() -> Self {
        Self { list: None, changes: BTreeMap::new(), unreadable: BTreeSet::new() }
    }
}

/// What to write into a list: only what differs from what is known, so that equal objects stay shared with the pictures
/// already taken, and an idle cluster makes no news.
#[derive(Debug)]
pub(super) struct Patch<K, V> {
    entries: Vec<(K, Option<Arc<V>>)>,
}

impl<K: Ord + Clone, V: PartialEq + Clone> Patch<K, V> {
    /// Compares a batch with what is known. `mine` are the known entries this watch is responsible for; `renew` completes a
    /// new value from the old one, or from `None` where an object appeared while this program watched.
    pub(super) fn new(
        batch: Batch<V>,
        known: Option<&BTreeMap<K, Arc<V>>>,
        key: impl Fn(&ObjectName) -> K,
        mine: impl Fn(&K, &V) -> bool,
        mut renew: impl FnMut(Option<&V>, &mut V),
    ) -> Self {
        let mut wanted: BTreeMap<K, Option<V>> = BTreeMap::new();
        if let Some(list) = batch.list {
            let kept: BTreeSet<K> = batch.unreadable.iter().map(&key).collect();
            let gone = known.into_iter().flatten().filter(|(k, v)| mine(k, v) && !kept.contains(*k));
            wanted.extend(gone.map(|(k, _)| (k.clone(), None)));
            wanted.extend(list.into_iter().map(|(name, value)| (key(&name), Some(value))));
        }
        wanted.extend(batch.changes.into_iter().map(|(name, value)| (key(&name), value)));
        let entries = wanted.into_iter().filter_map(|(k, value)| {
            let old = known.and_then(|known| known.get(&k));
            match (old, value) {
                (None, None) => None,
                (Some(_), None) => Some((k, None)),
                (None, Some(mut new)) => {
                    if known.is_some() {
                        renew(None, &mut new);
                    }
                    Some((k, Some(Arc::new(new))))
                }
                (Some(old), Some(mut new)) => {
                    renew(Some(old), &mut new);
                    (**old != new).then(|| (k, Some(Arc::new(new))))
                }
            }
        });
        Self { entries: entries.collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What it removes and what it writes.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&K, Option<&Arc<V>>)> {
        self.entries.iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// Writes it. The map is copied only where a picture shares it, once a batch.
    pub(super) fn apply(self, part: &mut List<K, V>) {
        let map = Arc::make_mut(part.value.get_or_insert_with(Arc::default));
        for (key, value) in self.entries {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ObjectName {
        ObjectName::new("a", text)
    }

    fn known() -> BTreeMap<ObjectName, Arc<u8>> {
        BTreeMap::from([(name("same"), Arc::new(1)), (name("gone"), Arc::new(2)), (name("broken"), Arc::new(3))])
    }

    fn patched(batch: Batch<u8>) -> Vec<(String, Option<u8>)> {
        let known = known();
        let patch = Patch::new(batch, Some(&known), ObjectName::clone, |_, _| true, |_, _| {});
        patch.entries().map(|(key, value)| (key.name.to_string(), value.map(|value| **value))).collect()
    }

    #[test]
    fn a_list_removes_what_it_does_not_have_and_keeps_what_it_could_not_read() {
        let list = BTreeMap::from([(name("same"), 1), (name("new"), 4)]);
        let batch = Batch { list: Some(list), unreadable: BTreeSet::from([name("broken")]), ..Batch::default() };
        assert_eq!(patched(batch), [("gone".into(), None), ("new".into(), Some(4))]);
    }

    #[test]
    fn a_change_that_changes_nothing_is_no_news() {
        let changes = BTreeMap::from([(name("same"), Some(1)), (name("never was"), None), (name("gone"), Some(9))]);
        assert_eq!(patched(Batch { changes, ..Batch::default() }), [("gone".into(), Some(9))]);
    }
}
