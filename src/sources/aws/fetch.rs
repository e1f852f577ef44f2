//! What did a fetch bring? Pages gathered by hand, and what of them was strange.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::inventory::part::{Failure, FailureCategory};

/// What an answer held that this program cannot take as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Oddities {
    /// Values it does not know: kept as `other`, or left out of their object.
    pub(crate) values: u64,
    /// Objects it could not take at all.
    pub(crate) objects: u64,
}

impl Oddities {
    /// `text` read by `parse`; `other` and counted when it is none of the set.
    pub(crate) fn known<T>(&mut self, text: Option<&str>, parse: impl Fn(&str) -> Option<T>, other: T) -> T {
        text.and_then(parse).unwrap_or_else(|| {
            self.values += 1;
            other
        })
    }

    /// `text` parsed; `None` and counted when it is there and does not parse.
    pub(crate) fn parsed<T: std::str::FromStr>(&mut self, text: Option<&str>) -> Option<T> {
        let text = text?;
        let parsed = text.parse().ok();
        self.values += u64::from(parsed.is_none());
        parsed
    }

    /// `number` in another type; `None` and counted when it is there and does not fit.
    pub(crate) fn fitting<N: Copy, T: TryFrom<N>>(&mut self, number: Option<N>) -> Option<T> {
        let fitting = T::try_from(number?).ok();
        self.values += u64::from(fitting.is_none());
        fitting
    }

    /// The object; counted when it is none.
    pub(crate) fn object<T>(&mut self, object: Option<T>) -> Option<T> {
        self.objects += u64::from(object.is_none());
        object
    }
}

/// What arrived of a list.
#[derive(Debug)]
pub(crate) struct Fetched<K, V> {
    /// The objects of the pages that did arrive.
    pub(crate) items: BTreeMap<K, Arc<V>>,
    /// Why not all of them did.
    pub(crate) failure: Option<Failure>,
    /// What was strange.
    pub(crate) oddities: Oddities,
}

/// A page: its objects, and the token of the next page.
pub(crate) type Page<K, V> = (Vec<(K, V)>, Option<String>);

/// Pages of one list at most: 400,000 load balancers, a million interfaces. No quota of AWS lets an account have so many.
const MOST_PAGES: usize = 1_000;

/// The paging tokens of one list so far. One that was there before would go on for ever, and so might ever new ones: such a
/// list is malformed.
#[derive(Debug, Default)]
pub(crate) struct Tokens(BTreeSet<String>);

impl Tokens {
    /// The token to ask for the next page with, as this page has it; `None` after the last.
    pub(crate) fn after(&mut self, action: &str, next: Option<&str>) -> Result<Option<String>, Failure> {
        let Some(next) = next.filter(|next| !next.is_empty()) else { return Ok(None) };
        let message = if !self.0.insert(next.to_owned()) {
            "the same paging token came twice"
        } else if self.0.len() >= MOST_PAGES {
            "the list has no end after a thousand pages"
        } else {
            return Ok(Some(next.to_owned()));
        };
        Err(Failure { category: FailureCategory::Malformed, operation: action.to_owned(), message: message.to_owned() })
    }
}

/// Asks page by page until the list ends or a page fails. The paging token of the answer before goes in; `None` first.
pub(crate) async fn pages<K: Ord, V, F>(
    action: &str,
    oddities: &Mutex<Oddities>,
    mut page: impl FnMut(Option<String>) -> F,
) -> Fetched<K, V>
where
    F: Future<Output = Result<Page<K, V>, Failure>>,
{
    let mut items = BTreeMap::new();
    let mut token: Option<String> = None;
    let mut tokens = Tokens::default();
    let failure = loop {
        match page(token.clone()).await {
            Ok((objects, next)) => {
                items.extend(objects.into_iter().map(|(key, value)| (key, Arc::new(value))));
                match tokens.after(action, next.as_deref()) {
                    Ok(None) => break None,
                    Ok(next) => token = next,
                    Err(failure) => break Some(failure),
                }
            }
            Err(failure) => break Some(failure),
        }
    };
    let oddities = *oddities.lock().expect("nothing panics while it holds this lock");
    Fetched { items, failure, oddities }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fetched(answers: Vec<Result<Page<u8, u8>, Failure>>) -> (Fetched<u8, u8>, Vec<Option<String>>) {
        let mut asked = Vec::new();
        let mut answers = answers.into_iter();
        let page = |token| {
            asked.push(token);
            std::future::ready(answers.next().unwrap())
        };
        let fetched = pages("ec2:X", &Mutex::default(), page).await;
        (fetched, asked)
    }

    #[tokio::test]
    async fn pages_are_asked_for_until_there_is_no_token() {
        let (fetched, asked) =
            fetched(vec![Ok((vec![(1, 1)], Some("a".into()))), Ok((vec![(2, 2)], Some("b".into()))), Ok((vec![], None))]).await;
        assert_eq!(fetched.items.len(), 2);
        assert!(fetched.failure.is_none());
        assert_eq!(asked, [None, Some("a".into()), Some("b".into())]);
    }

    #[tokio::test]
    async fn a_failed_page_keeps_what_arrived_and_says_so() {
        let failure = Failure { category: FailureCategory::Server, operation: "ec2:X".into(), message: "no".into() };
        let (fetched, _) = fetched(vec![Ok((vec![(1, 1)], Some("a".into()))), Err(failure.clone())]).await;
        assert_eq!(fetched.items.len(), 1);
        assert_eq!(fetched.failure, Some(failure));
    }

    #[tokio::test]
    async fn a_token_that_repeats_ends_the_list_as_malformed() {
        let (fetched, _) = fetched(vec![Ok((vec![], Some("a".into()))), Ok((vec![], Some("a".into())))]).await;
        assert_eq!(fetched.failure.unwrap().category, FailureCategory::Malformed);
    }

    #[tokio::test]
    async fn tokens_that_go_in_a_circle_end_the_list_as_malformed() {
        let answer = |key: u8, token: &str| Ok((vec![(key, key)], Some(token.to_owned())));
        let (fetched, asked) = fetched(vec![answer(1, "a"), answer(2, "b"), answer(3, "a")]).await;
        assert_eq!(fetched.failure.unwrap().category, FailureCategory::Malformed);
        assert_eq!((fetched.items.len(), asked.len()), (3, 3), "what arrived is kept");
    }

    #[tokio::test]
    async fn a_list_with_ever_new_tokens_ends_as_malformed() {
        let mut asked = 0;
        let page = |_| {
            asked += 1;
            std::future::ready(Ok((vec![(1_u8, 1_u8)], Some(asked.to_string()))))
        };
        let fetched = pages("ec2:X", &Mutex::default(), page).await;
        assert_eq!(fetched.failure.unwrap().category, FailureCategory::Malformed);
        assert_eq!(asked, MOST_PAGES);
    }
}
