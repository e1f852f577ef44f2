//! What is still to be said to one Alertmanager? Newer news of an alert replaces older; beyond a limit the oldest is dropped.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::lifecycle::{Labels, Notice};

/// Alerts waiting for one instance.
#[derive(Debug)]
pub(super) struct Queue {
    limit: usize,
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By turn.
    notices: BTreeMap<u64, Arc<Notice>>,
    turns: HashMap<Labels, u64>,
    next: u64,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, waiting: Mutex::default(), news: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // What a panicking holder left is still a queue.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds notices; says how many had to be dropped for them.
    pub(super) fn push(&self, notices: &[Arc<Notice>]) -> usize {
        let mut waiting = self.lock();
        for notice in notices {
            waiting.push(Arc::clone(notice));
        }
        let dropped = waiting.shrink_to(self.limit);
        drop(waiting);
        self.news.notify_one();
        dropped
    }

    /// Gives back what could not be said, where nothing newer has come meanwhile.
    pub(super) fn put_back(&self, notices: Vec<Arc<Notice>>) -> usize {
        let mut waiting = self.lock();
        for notice in notices {
            if !waiting.turns.contains_key(&notice.labels) {
                waiting.push(notice);
            }
        }
        waiting.shrink_to(self.limit)
    }

    /// The next ones to be said, at least one.
    pub(super) async fn next(&self, most: usize) -> Vec<Arc<Notice>> {
        loop {
            let taken = self.lock().take(most);
            if !taken.is_empty() {
                return taken;
            }
            self.news.notified().await;
        }
    }
}

impl Waiting {
    fn push(&mut self, notice: Arc<Notice>) {
        // It keeps its turn: an alert that is repeated must not wait for ever behind others.
        let turn = *self.turns.entry(notice.labels.clone()).or_insert(self.next);
        self.next += 1;
        self.notices.insert(turn, notice);
    }

    fn take(&mut self, most: usize) -> Vec<Arc<Notice>> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((_, notice)) = self.notices.pop_first()
        {
            self.turns.remove(&notice.labels);
            taken.push(notice);
        }
        taken
    }

    fn shrink_to(&mut self, limit: usize) -> usize {
        let excess = self.notices.len().saturating_sub(limit);
        self.take(excess).len()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn notice(alert: &str, ends: i64) -> Arc<Notice> {
        Arc::new(Notice {
            labels: [("alertname".into(), alert.into())].into_iter().collect(),
            annotations: Default::default(),
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: Timestamp::from_second(ends).unwrap(),
        })
    }

    #[tokio::test]
    async fn newer_news_of_an_alert_takes_the_turn_of_the_older() {
        let queue = Queue::new(10);
        queue.push(&[notice("a", 1), notice("b", 1), notice("a", 2)]);
        assert_eq!(queue.next(10).await, [notice("a", 2), notice("b", 1)]);
    }

    #[tokio::test]
    async fn the_oldest_is_dropped_and_counted() {
        let queue = Queue::new(2);
        assert_eq!(queue.push(&[notice("a", 1), notice("b", 1)]), 0);
        assert_eq!(queue.push(&[notice("c", 1)]), 1);
        assert_eq!(queue.next(1).await, [notice("b", 1)]);
        assert_eq!(queue.next(9).await, [notice("c", 1)]);
    }

    #[tokio::test]
    async fn what_failed_comes_back_unless_something_newer_is_there() {
        let queue = Queue::new(10);
        queue.push(&[notice("a", 1), notice("b", 1)]);
        let failed = queue.next(10).await;
        queue.push(&[notice("a", 2)]);
        assert_eq!(queue.put_back(failed), 0);
        assert_eq!(queue.next(10).await, [notice("a", 2), notice("b", 1)]);
    }
}
