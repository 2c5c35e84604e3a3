//! Who gets memory, and who gives it up.

use std::net::IpAddr;

use prometheus::Registry;
use uuid::Uuid;

use super::bodies::WINDOW_TICKS;
use super::*;

const SHARES: Shares = Shares {
    all: 1_000_000,
    small: 100_000,
    unproven: 600_000,
    unproven_of_one: 200_000,
    proven_of_one: 600_000,
};

fn budget() -> BodyBudget {
    let metrics = ConnectionMetrics::register(&Registry::new());
    BodyBudget::new(SHARES, Arc::default(), metrics)
}

fn merchant(number: u128) -> MerchantId {
    MerchantId::from_uuid(Uuid::from_u128(number))
}

fn proven(number: u128) -> Holder {
    Holder::Proven(merchant(number))
}

fn unproven(last_octet: u8, number: u128) -> Holder {
    let address = IpAddr::from([192, 0, 2, last_octet]);
    Holder::Unproven(address.into(), merchant(number))
}

async fn body(budget: &BodyBudget, holder: Holder, bytes: usize) -> Result<HeldBody<'_>, Answer> {
    let mut held = budget.begin(holder, None);
    held.grow(bytes).await.map(|()| held)
}

/// Bodies of this holder until no more is granted.
fn fill(budget: &BodyBudget, holder: Holder, bytes: usize) -> Vec<HeldBody<'_>> {
    let mut held = Vec::new();
    while held.len() < 100 {
        let next = budget.begin(holder, None);
        if !matches!(next.try_grow(bytes), Grant::Granted) {
            break;
        }
        held.push(next);
    }
    held
}

fn given_up(held: &[HeldBody<'_>]) -> usize {
    held.iter().filter(|body| body.is_given_up()).count()
}

#[tokio::test]
async fn bytes_of_all_bodies_are_bounded_and_given_back() {
    let budget = budget();
    let first = body(&budget, proven(1), 500_000).await.unwrap();
    let second = body(&budget, proven(2), 400_000).await.unwrap();
    first.is_whole();
    second.is_whole();
    let third = body(&budget, proven(3), 20_000).await;
    assert!(matches!(third, Err(Answer::Unavailable(_))));
    drop(second);
    assert!(body(&budget, proven(3), 20_000).await.is_ok());
}

#[tokio::test]
async fn small_bodies_have_a_reserve() {
    let budget = budget();
    let held = [
        body(&budget, proven(1), 500_000).await.unwrap(),
        body(&budget, proven(2), 400_000).await.unwrap(),
    ];
    held.iter().for_each(HeldBody::is_whole);
    for small in [proven(3), unproven(1, 1)] {
        assert!(body(&budget, small, 1_000).await.is_ok());
    }
    assert!(body(&budget, proven(3), 20_000).await.is_err());
}

#[tokio::test]
async fn unproven_body_has_the_share_of_its_source_and_merchant() {
    let budget = budget();
    let held = fill(&budget, unproven(1, 1), 40_000);
    assert_eq!(held.len(), 5);
    // Another source, and the same source at another merchant, have theirs.
    assert_eq!(fill(&budget, unproven(2, 1), 40_000).len(), 5);
    assert_eq!(fill(&budget, unproven(1, 2), 40_000).len(), 5);
}

#[tokio::test]
async fn proven_body_takes_the_place_of_unproven_ones() {
    let budget = budget();
    let held = [
        fill(&budget, unproven(1, 1), 40_000),
        fill(&budget, unproven(2, 1), 40_000),
    ];
    let _whole = body(&budget, proven(9), 490_000).await.unwrap();

    let mut wanted = budget.begin(proven(1), None);
    assert!(matches!(wanted.try_grow(50_000), Grant::Awaited));
    let count: usize = held.iter().map(|held| given_up(held)).sum();
    assert_eq!(count, 2);
    // Those that were given up give their memory back, and then it is granted.
    drop(held);
    assert!(wanted.grow(50_000).await.is_ok());
}

#[tokio::test]
async fn slow_body_gives_way_within_its_own_share() {
    let budget = budget();
    let holder = unproven(1, 1);
    let held = fill(&budget, holder, 40_000);
    // All are as fast as the new one may be.
    let wanted = budget.begin(holder, None);
    assert!(matches!(wanted.try_grow(30_000), Grant::Refused));
    // A small one need not wait for that.
    let small = budget.begin(holder, None);
    assert!(matches!(small.try_grow(1_000), Grant::Awaited));

    budget.clock.advance(3 * WINDOW_TICKS);
    let wanted = budget.begin(holder, None);
    assert!(matches!(wanted.try_grow(60_000), Grant::Awaited));
    assert_eq!(given_up(&held), 2);
}

#[tokio::test]
async fn one_merchant_gives_way_to_one_that_has_less() {
    let budget = budget();
    let hostile = fill(&budget, proven(1), 100_000);
    assert_eq!(hostile.len(), 6, "its share");
    let _other = body(&budget, proven(2), 300_000).await.unwrap();
    budget.clock.advance(3 * WINDOW_TICKS);

    let wanted = budget.begin(proven(3), None);
    assert!(matches!(wanted.try_grow(50_000), Grant::Awaited));
    assert_eq!(given_up(&hostile), 1);
    // The one that has most gets nothing from others.
    let kept = hostile.into_iter().filter(|body| !body.is_given_up());
    let kept: Vec<_> = kept.inspect(HeldBody::is_whole).collect();
    let greedy = budget.begin(proven(1), None);
    assert!(matches!(greedy.try_grow(150_000), Grant::Refused));
    assert_eq!(kept.len(), 5);
}

#[tokio::test]
async fn body_that_was_given_up_gets_no_more() {
    let budget = budget();
    let mut held = fill(&budget, unproven(1, 1), 200_000);
    let small = budget.begin(unproven(1, 1), None);
    assert!(matches!(small.try_grow(1), Grant::Awaited));
    assert!(held[0].is_given_up());
    assert!(held[0].grow(1).await.is_err());
}
