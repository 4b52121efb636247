//! Tickets as text: round trips, limits, damage, forgery.

use proptest::prelude::*;

use super::super::text;
use super::*;
use crate::PeerId;
use crate::willow::{Area, DecodeError, NamespaceSecret, ReadCapability, SubspaceSecret};

fn link(kind: NamespaceKind, access: Access) -> Ticket {
    let (mut wallet, _, namespace) = maker(1, kind);
    wallet.share(&request(&namespace, access), random(2)).unwrap()
}

fn address(seed: u8, relays: &[&str]) -> PeerAddress {
    PeerAddress { id: PeerId([seed; 32]), relays: relays.iter().map(|relay| (*relay).to_owned()).collect() }
}

#[test]
fn a_ticket_survives_its_text() {
    for kind in [NamespaceKind::Communal, NamespaceKind::Owned] {
        for access in [Access::Read, Access::Write] {
            for peers in [
                vec![],
                vec![address(1, &["http://127.0.0.1:3340/"]), address(2, &[]), address(3, &["https://a.example", "https://ö.example"])],
            ] {
                let ticket = link(kind, access).with_peers(peers.clone());
                let text = ticket.to_string();
                assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "fit for a URL: {text}");
                let back: Ticket = format!("\n {text} ").parse().unwrap();
                assert!(back == ticket, "{kind:?} {access:?}");
                assert_eq!(back.peers(), peers);
                assert_eq!(back.to_string(), text);
            }
        }
    }
}

#[test]
fn more_addresses_than_fit_are_left_out() {
    let long = "h".repeat(Ticket::MAX_RELAY_LEN + 1);
    let mut many = address(1, &["https://relay.example"; 20]);
    many.relays.insert(0, long);
    let ticket = link(NamespaceKind::Owned, Access::Read).with_peers(vec![many; 40]);
    assert_eq!(ticket.peers().len(), Ticket::MAX_PEERS);
    assert_eq!(ticket.peers()[0].relays, ["https://relay.example"; Ticket::MAX_RELAYS]);
    assert!(ticket.to_string().parse::<Ticket>().unwrap() == ticket);
    let longest = "h".repeat(Ticket::MAX_RELAY_LEN);
    let full = link(NamespaceKind::Owned, Access::Write).with_peers(vec![address(1, &[longest.as_str(); 8]); Ticket::MAX_PEERS]);
    assert!(full.to_string().parse::<Ticket>().unwrap() == full);
}

#[test]
fn texts_that_are_no_tickets_say_why() {
    let text = link(NamespaceKind::Owned, Access::Write).to_string();
    let cases = [
        (String::new(), TicketError::NotATicket),
        ("osier".to_owned(), TicketError::Malformed),
        ("https://example.org/#x".to_owned(), TicketError::NotATicket),
        (text.replace("osier1-", "osieruser1-"), TicketError::NotATicket),
        (text.replace("osier1-", "osier2-"), TicketError::UnsupportedVersion(2)),
        (format!("{text}!"), TicketError::Malformed),
        (format!("{text}{}", "A".repeat(300_000)), TicketError::Malformed),
        (text[..text.len() / 2].to_owned(), TicketError::BadChecksum),
        ("osier1-".to_owned(), TicketError::BadChecksum),
        (text::encode("osier", 1, &[]), TicketError::Undecodable(DecodeError::Truncated)),
        (text::encode("osier", 1, &[0xff; 100]), TicketError::Undecodable(DecodeError::NotCanonic)),
    ];
    for (text, error) in cases {
        let parsed = text.parse::<Ticket>();
        let shown: String = text.chars().take(40).collect();
        match (parsed.unwrap_err(), error) {
            // A cut may leave a length that no base64 has.
            (TicketError::Malformed, TicketError::BadChecksum) => {}
            (found, expected) => assert_eq!(found, expected, "{shown}"),
        }
    }
}

#[test]
fn parts_of_different_tickets_do_not_make_one() {
    let (mut wallet, user, namespace) = maker(1, NamespaceKind::Owned);
    let one = wallet.share(&request(&namespace, Access::Write), random(2)).unwrap();
    let other = wallet.share(&request(&namespace, Access::Write), random(3)).unwrap();
    let inconsistent = Err(TicketError::Inconsistent);
    assert_eq!(Ticket::new(one.read.clone(), other.write.clone(), None), inconsistent);
    assert_eq!(Ticket::new(one.read.clone(), one.write.clone(), other.link.clone()), inconsistent);
    let second = wallet.create_namespace(NamespaceKind::Owned, &user, random(4)).unwrap();
    let elsewhere = wallet.share(&request(&second, Access::Write), random(2)).unwrap();
    assert_eq!(Ticket::new(one.read.clone(), elsewhere.write, None), inconsistent);
}

/// Whatever is changed in a ticket whose checksum was made anew: it is refused, or nothing that is signed changed.
#[test]
fn a_forged_ticket_grants_nothing() {
    let ticket = link(NamespaceKind::Owned, Access::Write);
    let content = text::decode("osier", 1, &ticket.to_string(), 10_000).unwrap();
    let mut refused = 0;
    for at in 0..content.len() {
        let mut forged = content.clone();
        forged[at] ^= 0x10;
        match text::encode("osier", 1, &forged).parse::<Ticket>() {
            Ok(_) => panic!("byte {at} can be changed"),
            Err(TicketError::InvalidCapability | TicketError::Inconsistent | TicketError::Undecodable(_)) => refused += 1,
            Err(other) => panic!("byte {at}: {other:?}"),
        }
    }
    assert_eq!(refused, content.len());
}

#[test]
fn counts_and_lengths_that_are_only_claimed_cost_nothing() {
    let ticket = link(NamespaceKind::Owned, Access::Read);
    let content = text::decode("osier", 1, &ticket.to_string(), 10_000).unwrap();
    let (last, front) = content.split_last().unwrap();
    assert_eq!(*last, 0, "the count of peers");
    for claim in [&[255, 255, 255, 255, 255, 255, 255, 255, 255][..], &[17], &[16]] {
        let forged = [front, claim].concat();
        let error = text::encode("osier", 1, &forged).parse::<Ticket>().unwrap_err();
        assert!(matches!(error, TicketError::Undecodable(DecodeError::TooLarge | DecodeError::Truncated)), "{error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn text_carries_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let text = text::encode("word", 3, &bytes);
        prop_assert_eq!(text::decode("word", 3, &text, 1000), Ok(bytes));
    }

    #[test]
    fn any_content_is_parsed_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), keep in 0usize..500) {
        let ticket = link(NamespaceKind::Communal, Access::Write);
        let mut content = text::decode("osier", 1, &ticket.to_string(), 10_000).unwrap();
        content.truncate(keep.min(content.len() - 1));
        content.extend(bytes);
        let _ = text::encode("osier", 1, &content).parse::<Ticket>();
    }

    #[test]
    fn a_changed_character_is_noticed(at in any::<prop::sample::Index>(), by in 1u8..64) {
        let text = link(NamespaceKind::Owned, Access::Read).to_string();
        let at = "osier1-".len() + at.index(text.len() - "osier1-".len());
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut bytes = text.into_bytes();
        let old = alphabet.iter().position(|letter| *letter == bytes[at]).unwrap();
        bytes[at] = alphabet[(old + usize::from(by)) % 64];
        let error = String::from_utf8(bytes).unwrap().parse::<Ticket>().unwrap_err();
        let noticed = matches!(error, TicketError::BadChecksum | TicketError::Malformed);
        prop_assert!(noticed, "{error:?}");
    }
}

/// One more and no session shows it: a session passes it on once more.
#[test]
fn the_longest_chain_that_is_taken_can_be_shown() {
    let (_, first, _) = maker(1, NamespaceKind::Owned);
    let secret = |number: u8| SubspaceSecret::from_bytes(&[number; 32]);
    let mut namespaces = (0..).map(|number| NamespaceSecret::from_bytes(&[number; 32]));
    let namespace = namespaces.find(|secret| secret.corresponding_namespace_id().is_owned()).unwrap();
    let mut capability = ReadCapability::new_owned(&namespace, first);
    for number in 1..=16 {
        capability.delegate(&secret(number), Area::full(), secret(number + 1).corresponding_subspace_id());
    }
    let ticket = |capability: &ReadCapability| Ticket::new(capability.clone().into(), None, None).unwrap().to_string();
    let (mut last, _) = wallet(17);
    last.join(&ticket(&capability).parse().unwrap(), None, random(3)).unwrap();
    let shown = last.for_session(&secret(50).corresponding_subspace_id(), &InterestSelection::All);
    assert_eq!(shown[0].capability.delegations().len(), crate::sync::overlap::MAX_SESSION_DELEGATIONS);
    capability.delegate(&secret(17), Area::full(), secret(18).corresponding_subspace_id());
    assert_eq!(ticket(&capability).parse::<Ticket>().err(), Some(TicketError::Undecodable(DecodeError::TooLarge)));
}
