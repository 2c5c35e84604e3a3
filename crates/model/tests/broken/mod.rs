//! Checking that a broken variant of a model breaks a law.

use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, HasDiscoveries, Model};

/// Searches a model for a way to break the law, and prints the shortest.
pub(crate) fn assert_breaks<M>(model: M, mutation: impl Debug, law: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq,
{
    let checker = model
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyOf([law].into()))
        .spawn_bfs()
        .join();
    let trace = checker
        .discovery(law)
        .unwrap_or_else(|| panic!("{mutation:?} does not break: {law}"));
    println!("{mutation:?} breaks: {law}\n  {:?}", trace.into_actions());
}
