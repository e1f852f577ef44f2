//! Is there something true to show yet? What the start is still waiting for, by name.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// How the daemon stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// These are still missing for the first full picture.
    Pending(BTreeSet<String>),
    /// There was a full picture. Later failures show as ages: an exporter that cannot reach AWS must still be scraped.
    Ready,
    /// The daemon ends.
    ShuttingDown,
}

/// What the start is still waiting for. Once ready it stays ready until the end.
#[derive(Debug)]
pub struct Readiness {
    state: watch::Sender<State>,
}

impl Readiness {
    /// Waits for these; for nothing, it is ready at once.
    pub fn pending<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self { state: watch::Sender::new(waiting_for(names)) }
    }

    /// One of them has come.
    pub fn done(&self, name: &str) {
        self.state.send_if_modified(|state| {
            let State::Pending(names) = state else { return false };
            let changed = names.remove(name);
            if names.is_empty() {
                *state = State::Ready;
            }
            changed
        });
    }

    /// Says anew what is missing; nothing means ready. Without effect once ready.
    pub fn waits_for<N: Into<String>>(&self, names: impl IntoIterator<Item = N>) {
        self.state.send_if_modified(|state| {
            let next = waiting_for(names);
            let changed = matches!(state, State::Pending(_)) && *state != next;
            if changed {
                *state = next;
            }
            changed
        });
    }

    /// The daemon ends: not ready from now on.
    pub fn shutting_down(&self) {
        self.state.send_replace(State::ShuttingDown);
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until there was a full picture, or the end.
    pub async fn settled(&self) -> State {
        let mut receiver = self.state.subscribe();
        let state = receiver.wait_for(|state| !matches!(state, State::Pending(_))).await;
        state.expect("the sender lives as long as this borrow of it").clone()
    }
}

fn waiting_for<N: Into<String>>(names: impl IntoIterator<Item = N>) -> State {
    let names: BTreeSet<_> = names.into_iter().map(Into::into).collect();
    if names.is_empty() { State::Ready } else { State::Pending(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_ready_when_the_last_name_is_gone_and_stays_so() {
        let readiness = Readiness::pending(["a", "b"]);
        readiness.done("a");
        readiness.done("unheard of");
        assert_eq!(readiness.state(), State::Pending(BTreeSet::from(["b".to_owned()])));
        readiness.waits_for(["c", "d"]);
        readiness.done("c");
        readiness.done("d");
        assert_eq!(readiness.settled().await, State::Ready);
        readiness.waits_for(["e"]);
        assert_eq!(readiness.state(), State::Ready);
        readiness.shutting_down();
        assert_eq!(readiness.state(), State::ShuttingDown);
    }

    #[test]
    fn nothing_to_wait_for_is_ready() {
        assert_eq!(Readiness::pending::<String>([]).state(), State::Ready);
    }
}
