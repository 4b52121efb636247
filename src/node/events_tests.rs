#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

/// Even numbers may be lost, and a greater even number replaces a smaller one with the same last digit.
#[derive(Debug, PartialEq, Clone, Copy)]
struct Number(u32);

impl Coalesce for Number {
    fn replaces(&self, older: &Self) -> bool {
        self.may_be_lost() && self.0 % 10 == older.0 % 10 && self.0 > older.0
    }
    fn may_be_lost(&self) -> bool {
        self.0.is_multiple_of(2)
    }
}

fn taken(events: &Events<Number>) -> Vec<u32> {
    std::iter::from_fn(|| events.try_next()).map(|number| number.0).collect()
}

#[test]
fn intermediate_events_coalesce_and_keep_the_order_of_the_latest() {
    let (sender, events) = channel([]);
    for number in [2, 1, 12, 3, 22, 4] {
        assert!(sender.push(Number(number)));
    }
    assert_eq!(taken(&events), [1, 3, 22, 4]);
}

#[test]
fn the_snapshot_comes_first_and_the_last_item_always() {
    let (sender, events) = channel([Number(7)]);
    for number in 0..5000 {
        sender.push(Number(number * 2 + 1));
    }
    sender.end(Some(Number(9)));
    assert!(!sender.push(Number(11)), "nothing follows the last item");
    let all = taken(&events);
    assert_eq!(all.len(), CAPACITY + 1);
    assert_eq!(*all.last().unwrap(), 9);
}

#[test]
fn a_full_queue_drops_what_may_be_lost_first() {
    let (sender, events) = channel([Number(1), Number(2)]);
    for _ in 0..CAPACITY - 1 {
        sender.push(Number(3));
    }
    let all = taken(&events);
    assert_eq!(all.len(), CAPACITY);
    assert_eq!(&all[..2], [1, 3]);
}

#[tokio::test]
async fn next_waits_then_ends_and_a_dropped_consumer_stops_the_producer() {
    let (sender, events) = channel([]);
    let (got, ()) = tokio::join!(events.next(), async {
        sender.push(Number(5));
    });
    assert_eq!(got, Some(Number(5)));
    sender.end(None);
    assert_eq!(events.next().await, None);
    assert_eq!(events.next().await, None);

    let (sender, events) = channel([]);
    drop(events);
    sender.abandoned().await;
    assert!(!sender.drained().await);
    assert!(!sender.push(Number(1)));
}

#[tokio::test]
async fn a_dropped_producer_ends_the_stream() {
    let (sender, events) = channel([Number(1)]);
    drop(sender);
    assert_eq!(events.next().await, Some(Number(1)));
    assert_eq!(events.next().await, None);
}
