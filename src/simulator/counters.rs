//! How often was each AWS call made? Counted as it arrives, whatever the answer then is.

use std::collections::BTreeMap;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::operations::Operation;

/// The order of so many calls is remembered; a simulator that runs for days must not grow.
const REMEMBERED: usize = 20_000;

/// Calls by operation; clones count together.
#[derive(Debug, Clone)]
pub struct Counters {
    counts: Arc<[Count]>,
    order: Arc<Mutex<Vec<Operation>>>,
}

#[derive(Debug, Default)]
struct Count {
    calls: AtomicU64,
    errors: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Self { counts: Operation::ALL.iter().map(|_| Count::default()).collect(), order: Arc::default() }
    }
}

impl Counters {
    /// Calls of one operation that arrived.
    pub fn calls(&self, operation: Operation) -> u64 {
        self.counts[operation as usize].calls.load(Ordering::Relaxed)
    }

    /// Calls of one operation that were answered with an error.
    pub fn errors(&self, operation: Operation) -> u64 {
        self.counts[operation as usize].errors.load(Ordering::Relaxed)
    }

    /// Calls of all operations together.
    pub fn total(&self) -> u64 {
        Operation::ALL.iter().map(|operation| self.calls(*operation)).sum()
    }

    /// The first calls since the start or the last reset, as they arrived; of very many only the first 20,000.
    pub fn order(&self) -> Vec<Operation> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts again at zero.
    pub fn reset(&self) {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for count in &*self.counts {
            count.calls.store(0, Ordering::Relaxed);
            count.errors.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn count_call(&self, operation: Operation) {
        self.counts[operation as usize].calls.fetch_add(1, Ordering::Relaxed);
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if order.len() < REMEMBERED {
            order.push(operation);
        }
    }

    pub(crate) fn count_error(&self, operation: Operation) {
        self.counts[operation as usize].errors.fetch_add(1, Ordering::Relaxed);
    }

    /// What `/__simulator/calls` answers: operations that were called.
    pub(crate) fn json(&self) -> serde_json::Value {
        let by = |read: fn(&Self, Operation) -> u64| -> BTreeMap<String, u64> {
            let all = Operation::ALL.iter().map(|operation| (operation.to_string(), read(self, *operation)));
            all.filter(|(_, count)| *count > 0).collect()
        };
        serde_json::json!({ "total": self.total(), "calls": by(Self::calls), "errors": by(Self::errors) })
    }
}
