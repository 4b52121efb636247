//! Target: what a person pastes in: tickets and secrets; and a stored wallet.

use osier_core::{
    PeerId,
    wallet::{Access, NamespaceKind, PeerAddress, Secret, ShareRequest, Ticket, Wallet},
};

use super::input::Input;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `bytes`: kind, then a text, the content of a text without its checksum, or a wallet.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.byte() % 4 {
        0 => ticket(&String::from_utf8_lossy(input.rest())),
        1 => ticket(&text("osier", input.rest())),
        2 => secret(&String::from_utf8_lossy(input.rest())),
        _ => wallet(input.rest()),
    }
}

/// A ticket that is read is written the same, and can be joined or is refused.
fn ticket(text: &str) {
    let Ok(ticket) = text.parse::<Ticket>() else { return };
    assert_eq!(ticket.to_string(), text.trim());
    let mut wallet = Wallet::new();
    let user = wallet.create_user([3; 32]);
    if wallet.join(&ticket, Some(&user), || [4; 32]).is_ok() {
        assert!(wallet.knows(ticket.namespace()));
        assert_eq!(Wallet::from_bytes(&wallet.to_bytes()).unwrap().capabilities(None), wallet.capabilities(None));
    }
}

fn secret(text: &str) {
    if let Ok(secret) = Secret::from_text(text) {
        assert_eq!(secret.to_text(), text.trim());
    }
}

fn wallet(bytes: &[u8]) {
    if let Ok(wallet) = Wallet::from_bytes(bytes) {
        for namespace in wallet.namespaces() {
            assert!(wallet.grants(&namespace.id).is_ok());
        }
    }
}

/// Content with the checksum that makes it a text, so that changes reach what is behind it.
fn text(word: &str, content: &[u8]) -> String {
    let checksum = blake3::hash(&[word.as_bytes(), &1_u32.to_be_bytes(), content].concat());
    let bytes = [content, &checksum.as_bytes()[..4]].concat();
    let mut text = format!("{word}1-");
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        text.extend((0..=group.len()).map(|place| char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize])));
    }
    text
}

/// The content of a text.
fn content(text: &str) -> Vec<u8> {
    let (_, body) = text.split_once('-').unwrap();
    let mut bytes = Vec::new();
    for group in body.as_bytes().chunks(4) {
        let value = |digit| ALPHABET.iter().position(|known| *known == digit).unwrap() as u32;
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | value(*digit)) << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// Tickets of both kinds with addresses, and what else there is.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for kind in [NamespaceKind::Owned, NamespaceKind::Communal] {
        let mut wallet = Wallet::new();
        let user = wallet.create_user([1; 32]);
        let mut count = 10;
        let mut random = || {
            count += 1;
            [count; 32]
        };
        let namespace = wallet.create_namespace(kind, &user, &mut random).unwrap();
        for access in [Access::Read, Access::Write] {
            for to in [None, Some(Wallet::new().create_user([3; 32]))] {
                let request = ShareRequest { namespace: namespace.clone(), access, to, from: None, area: None };
                let address = PeerAddress { id: PeerId([5; 32]), relays: vec!["https://relay.example".to_owned()] };
                let ticket = wallet.share(&request, &mut random).unwrap().with_peers([address.clone(), address]).to_string();
                seeds.push([&[0], ticket.as_bytes()].concat());
                seeds.push([&[1][..], &content(&ticket)].concat());
            }
        }
        seeds.push([&[2], wallet.export_user(&user).unwrap().as_bytes()].concat());
        seeds.push([&[3][..], &wallet.to_bytes()].concat());
    }
    seeds
}
