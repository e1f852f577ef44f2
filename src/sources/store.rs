//! Where do the sources put what they found? One shared `Parts`; whoever waits for news is woken.

use std::sync::Arc;

use tokio::sync::watch;

use crate::inventory::parts::Parts;

/// The shared parts. Writers hold the lock for one small change; readers clone, which copies no data.
#[derive(Debug, Clone)]
pub struct Store {
    sender: Arc<watch::Sender<Parts>>,
}

impl Store {
    /// A store that starts with these parts.
    pub fn new(parts: Parts) -> Self {
        Self { sender: Arc::new(watch::Sender::new(parts)) }
    }

    /// Changes the parts and wakes the subscribers. Keep the closure short: it runs under the lock.
    pub fn update(&self, change: impl FnOnce(&mut Parts)) {
        self.sender.send_modify(change);
    }

    /// The parts as they are.
    pub fn read(&self) -> Parts {
        self.sender.borrow().clone()
    }

    /// Waits for changes.
    pub fn subscribe(&self) -> watch::Receiver<Parts> {
        self.sender.subscribe()
    }
}
