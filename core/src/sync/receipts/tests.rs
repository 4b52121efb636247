use proptest::prelude::*;

use super::*;

fn sent(count: u64) -> Sent {
    let mut sent = Sent::default();
    (0..count).for_each(|_| sent.remember(None));
    sent
}

proptest! {
    #[test]
    fn runs_tell_each_entry_in_order_and_never_too_much(entries in prop::collection::vec(any::<bool>(), 0..300)) {
        let mut receipts = Receipts::default();
        entries.iter().for_each(|&stored| receipts.push(stored));
        prop_assert!(receipts.runs.len() <= RUNS);
        let told: Vec<bool> = std::iter::from_fn(|| receipts.pop()).flat_map(|run| (0..run.count).map(move |_| run.stored)).collect();
        prop_assert_eq!(told.len(), entries.len());
        prop_assert!(told.iter().zip(&entries).all(|(told, stored)| *stored || !told), "told to be stored what is not");
        if entries.windows(2).filter(|pair| pair[0] != pair[1]).count() < RUNS {
            prop_assert_eq!(told, entries);
        }
    }

    #[test]
    fn all_that_was_sent_can_be_receipted_once(counts in prop::collection::vec(0_u64..100, 0..8), surplus in 1_u64..9) {
        let mut sent = sent(counts.iter().sum());
        for &count in &counts {
            prop_assert!(sent.receipted(count).is_ok());
        }
        prop_assert_eq!(sent.receipted(surplus), Err(SyncError::ReceiptUnsent { count: surplus }));
        prop_assert_eq!(sent.receipted(u64::MAX), Err(SyncError::ReceiptUnsent { count: u64::MAX }));
    }
}

#[test]
fn what_nobody_receipts_is_forgotten_from_the_oldest_on() {
    let most = REMEMBERED as u64;
    let mut sent = sent(most + 5);
    assert_eq!((sent.waiting.len(), sent.forgotten), (REMEMBERED, 5));
    assert_eq!(sent.receipted(3), Ok(Vec::new()));
    assert_eq!((sent.waiting.len(), sent.forgotten), (REMEMBERED, 2));
    assert_eq!(sent.receipted(3), Ok(Vec::new()));
    assert_eq!((sent.waiting.len(), sent.forgotten), (REMEMBERED - 1, 0));
}
