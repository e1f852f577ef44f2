//! How are account ids, addresses and ids of AWS resources replaced so that a picture still holds together?
//!
//! The same text becomes the same other text everywhere in one picture, whether it stands alone, in an ARN, in a message or in
//! an annotation. Ids keep their order, since the controller chooses subnets by it. Addresses keep their common prefixes, so
//! that a target is still in its subnet and a rule still covers it; the first octet stays (the first two where it needs them
//! to stay private), and the rest cannot be turned back without the key, which is thrown away. Names stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::{Map, Value};

/// Prefixes of resource ids, whose digits are 8 or 17.
const ID_PREFIXES: &[&str] = &[
    "subnet", "vpc", "sg", "sgr", "i", "eni", "eipalloc", "eipassoc", "rtb", "rtbassoc", "pl", "igw", "eigw", "nat", "vpce",
    "acl", "tgw", "pcx", "ami", "lt", "vol",
];

/// Replaces them in every text of a JSON tree, keys included.
pub fn redact(tree: &mut Value) {
    rename_requests(tree);
    let mut found = Found::default();
    visit(tree, &mut |text| found.look(text));
    let replacements = Replacements::of(&found);
    rewrite(tree, &|text| replacements.apply(text));
}

/// Whether a text is, or holds, what becomes another one in a redacted picture. Blocks for everybody stay.
pub fn is_redacted(text: &str) -> bool {
    let block = text.trim().parse::<IpNet>().is_ok_and(|block| block.prefix_len() > 0);
    block || text.trim().parse::<IpAddr>().is_ok() || words(text).any(|(start, word)| kind(text, start, word).is_some())
}

/// The ids of quota requests follow no pattern that could be told from other words: they are counted instead.
fn rename_requests(tree: &mut Value) {
    let by_quota = tree.pointer_mut("/quota_requests/value").and_then(Value::as_object_mut);
    let requests = by_quota.into_iter().flat_map(|map| map.values_mut()).filter_map(Value::as_array_mut).flatten();
    for (request, number) in requests.zip(1..) {
        request["id"] = format!("request-{number}").into();
    }
}

fn visit(tree: &Value, see: &mut impl FnMut(&str)) {
    match tree {
        Value::String(text) => see(text),
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(fields) => {
            for (key, value) in fields {
                see(key);
                visit(value, see);
            }
        }
        _ => {}
    }
}

fn rewrite(tree: &mut Value, change: &impl Fn(&str) -> String) {
    match tree {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, change)),
        Value::Object(fields) => {
            let before = std::mem::take(fields);
            let after = before.into_iter().map(|(key, mut value)| {
                rewrite(&mut value, change);
                (change(&key), value)
            });
            *fields = after.collect::<Map<_, _>>();
        }
        _ => {}
    }
}

/// What a piece of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Account,
    Id,
}

/// The length of an id like `6f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0`.
const UUID: usize = 36;

/// The runs of letters and digits of a text, and ids with dashes at the end of a path, with where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(|letter: char| letter.is_ascii_alphanumeric())?;
        let run = text[start..].find(|letter: char| !letter.is_ascii_alphanumeric()).map_or(text.len(), |length| start + length);
        let uuid = text[..start].ends_with('/') && text.get(start..start + UUID).is_some_and(is_uuid);
        let end = if uuid { start + UUID } else { run };
        at = end;
        Some((start, &text[start..end]))
    })
}

fn is_uuid(text: &str) -> bool {
    let fits = |(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { matches!(byte, b'0'..=b'9' | b'a'..=b'f') };
    text.len() == UUID && text.bytes().enumerate().all(fits)
}

fn kind(text: &str, start: usize, word: &str) -> Option<Kind> {
    if word.len() == 12 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Kind::Account);
    }
    let hex = || word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let before = &text[..start];
    let separated = before.ends_with(['/', '-']);
    let of_resource = || {
        let prefix = before.strip_suffix('-').map(|before| {
            let from = before.rfind(|letter: char| !letter.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
            &before[from..]
        });
        prefix.is_some_and(|prefix| ID_PREFIXES.contains(&prefix))
    };
    match word.len() {
        // The last part of an ARN of a load balancer, listener or target group, and of a DNS name.
        16 | 17 if separated && hex() => Some(Kind::Id),
        8 if hex() && of_resource() => Some(Kind::Id),
        // The last part of a certificate's ARN.
        UUID if is_uuid(word) => Some(Kind::Id),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Found {
    accounts: BTreeSet<String>,
    ids: BTreeSet<String>,
}

impl Found {
    fn look(&mut self, text: &str) {
        for (start, word) in words(text) {
            match kind(text, start, word) {
                Some(Kind::Account) => _ = self.accounts.insert(word.to_owned()),
                Some(Kind::Id) => _ = self.ids.insert(word.to_owned()),
                None => {}
            }
        }
    }
}

#[derive(Debug)]
struct Replacements {
    words: BTreeMap<String, String>,
    key: RandomState,
}

impl Replacements {
    fn of(found: &Found) -> Self {
        let accounts = found.accounts.iter().zip(1_u64..).map(|(account, n)| (account.clone(), format!("{n:012}")));
        // The count in front, so that ids of different lengths keep their order too.
        let ids = found
            .ids
            .iter()
            .zip(1_u64..)
            .map(|(id, n)| (id.clone(), format!("{:0<width$}", format!("{n:08x}"), width = id.len())));
        Self { words: accounts.chain(ids).collect(), key: RandomState::new() }
    }

    fn apply(&self, text: &str) -> String {
        let mut named = String::with_capacity(text.len());
        let mut done = 0;
        for (start, word) in words(text) {
            if let Some(new) = kind(text, start, word).and_then(|_| self.words.get(word)) {
                named.push_str(&text[done..start]);
                named.push_str(new);
                done = start + word.len();
            }
        }
        named.push_str(&text[done..]);
        self.addresses(&named)
    }

    fn addresses(&self, text: &str) -> String {
        let mut new = String::with_capacity(text.len());
        let of_address = |letter: char| letter.is_ascii_hexdigit() || matches!(letter, '.' | ':' | '/');
        let mut rest = text;
        while !rest.is_empty() {
            let outside = rest.find(of_address).unwrap_or(rest.len());
            let (before, from) = rest.split_at(outside);
            new.push_str(before);
            let end = from.find(|letter| !of_address(letter)).unwrap_or(from.len());
            let (run, after) = from.split_at(end);
            // Hexadecimal digits are letters of words too: `a` of `abc.example`.
            let in_word = before.ends_with(|letter: char| letter.is_ascii_alphanumeric())
                || after.starts_with(|letter: char| letter.is_ascii_alphanumeric());
            match run.parse::<Ipv6Addr>().is_ok()
                || run.split_once('/').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
            {
                true if !in_word && run.contains(':') => new.push_str(&self.block(run).unwrap_or_else(|| run.to_owned())),
                _ => new.push_str(&self.quads(run)),
            }
            rest = after;
        }
        self.dashed(&new)
    }

    /// `10.0.0.1`, `10.0.0.0/8` and `10.0.0.1:80` within a run of digits and separators.
    fn quads(&self, run: &str) -> String {
        // A run splits at colons; a slash belongs to the address before it only where digits follow.
        let pieces = run.split(':').map(|piece| {
            self.block(piece)
                .or_else(|| {
                    let (address, rest) = piece.split_once('/')?;
                    Some(format!("{}/{rest}", self.block(address)?))
                })
                .or_else(|| {
                    let address = piece.strip_suffix('.')?;
                    Some(format!("{}.", self.block(address)?))
                })
                .unwrap_or_else(|| piece.to_owned())
        });
        pieces.collect::<Vec<_>>().join(":")
    }

    /// An address or a block, if it is one.
    fn block(&self, text: &str) -> Option<String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width: u8 = if address.is_ipv4() { 32 } else { 128 };
        let length = bits.filter(|bits| *bits <= width).unwrap_or(width);
        let bits = bits.map(|bits| format!("/{bits}")).unwrap_or_default();
        Some(format!("{}{bits}", self.address(address, length)))
    }

    /// Another address. Bits beyond `length` that are all zero stay so: they are no part of a block's name.
    fn address(&self, address: IpAddr, length: u8) -> IpAddr {
        match address {
            IpAddr::V4(v4) => {
                let value = u128::from(v4.to_bits());
                let new = self.bits(value, 32, kept(v4), length);
                IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(new).unwrap_or_default()))
            }
            IpAddr::V6(v6) if v6.is_unspecified() || v6.is_loopback() => address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(self.bits(v6.to_bits(), 128, 16, length))),
        }
    }

    /// Turns each bit over or not, as the key says for the bits before it.
    fn bits(&self, value: u128, width: u8, kept: u8, length: u8) -> u128 {
        let host = u32::from(width - length);
        let host_is_zero = host > 0 && value & 1_u128.checked_shl(host).map_or(u128::MAX, |bit| bit - 1) == 0;
        let last = if host_is_zero { length } else { width };
        (kept..last).fold(value, |new, place| {
            let below = u32::from(width - place - 1);
            let before = value.checked_shr(below + 1).unwrap_or(0);
            new ^ (u128::from(self.key.hash_one((width, place, before)) & 1) << below)
        })
    }

    /// `ip-10-0-0-1`, as AWS names hosts.
    fn dashed(&self, text: &str) -> String {
        let mut new = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = [rest.find("ip-"), rest.find("ec2-")].into_iter().flatten().min() {
            let start = at + rest[at..].find('-').map_or(0, |dash| dash + 1);
            let end = rest[start..]
                .find(|letter: char| !letter.is_ascii_digit() && letter != '-')
                .map_or(rest.len(), |end| start + end);
            new.push_str(&rest[..start]);
            let run = &rest[start..end];
            // Whatever follows an address in a name: `ip-10-0-0-1-spot`.
            let length = run.match_indices('-').nth(3).map_or(run.len(), |(at, _)| at);
            let (run, more) = run.split_at(length);
            match run.replace('-', ".").parse::<Ipv4Addr>() {
                Ok(address) => new.push_str(&self.address(address.into(), 32).to_string().replace('.', "-")),
                Err(_) => new.push_str(run),
            }
            new.push_str(more);
            rest = &rest[end..];
        }
        new.push_str(rest);
        new
    }
}

/// How many leading bits of an address stay: enough that it is private, public or link-local as before.
fn kept(address: Ipv4Addr) -> u8 {
    match address.octets() {
        // All addresses, this host, multicast and what lies beyond: no one's.
        [0 | 127 | 224.., ..] => 32,
        [100 | 169 | 172 | 192 | 198, ..] => 16,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_becomes_the_same_wherever_it_stands() {
        let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/k8s-shop-web-0123456789/0f1e2d3c4b5a6978";
        let mut tree = json!({
            arn: {"owner": "123456789012", "dns": "k8s-shop-web-0123456789-0f1e2d3c4b5a6978.elb.us-east-1.amazonaws.com"},
            "net/k8s-shop-web-0123456789/0f1e2d3c4b5a6978": ["subnet-0123456789abcdef0", "i-0123456789abcdef0", "sg-1a2b3c4d"],
            "message": "User: arn:aws:sts::123456789012:assumed-role/x/i-0123456789abcdef0 is not allowed",
        });
        redact(&mut tree);
        let text = tree.to_string();
        for gone in ["123456789012", "0f1e2d3c4b5a6978", "0123456789abcdef0", "1a2b3c4d"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        let new = tree.as_object().unwrap().keys().find(|key| key.starts_with("arn:")).unwrap();
        let id = new.rsplit('/').next().unwrap();
        assert!(text.contains(&format!("net/k8s-shop-web-0123456789/{id}\":")), "{text}");
        assert!(text.contains(&format!("k8s-shop-web-0123456789-{id}.elb")), "{text}");
        assert_eq!(tree[new]["owner"], "000000000001");
        assert!(text.contains("arn:aws:sts::000000000001:assumed-role"), "{text}");
    }

    #[test]
    fn a_certificate_loses_its_id_wherever_it_is_named_and_a_uid_of_kubernetes_stays() {
        const ID: &str = "cd3121a0-2743-4f15-a44e-cf2a49ab8c9b";
        let arn = format!("arn:aws:acm:us-east-1:123456789012:certificate/{ID}");
        let mut tree = json!({"certificates": [arn], "annotation": format!("{arn},{arn}"), "uid": ID});
        redact(&mut tree);
        let new = tree["certificates"][0].as_str().unwrap();
        assert!(!new.contains(ID) && new.starts_with("arn:aws:acm:us-east-1:000000000001:certificate/0"), "{new}");
        assert_eq!(tree["annotation"], format!("{new},{new}"));
        assert_eq!(tree["uid"], ID);
    }

    #[test]
    fn what_is_replaced_is_told_apart_from_what_stays() {
        for text in [
            "subnet-0123456789abcdef0",
            "sg-1a2b3c4d",
            "10.0.0.5",
            "10.0.0.0/16",
            "2600:1f18::/56",
            "arn:aws:iam::123456789012:x",
        ] {
            assert!(is_redacted(text), "{text}");
        }
        for text in ["0.0.0.0/0", "::/0", "private-a", "internet-facing", "80", "true", "k8s-traffic-demo", ""] {
            assert!(!is_redacted(text), "{text}");
        }
    }

    #[test]
    fn requests_for_more_of_a_quota_lose_their_ids_and_nothing_else() {
        let request = |id: &str| json!({"id": id, "status": "pending", "desired_value": 120.0, "requested_at": null});
        let mut tree = json!({"quota_requests": {"value": {"a": [request("d187537d15254312a9609aa51bbf7624u7W49tPO")], "b": [request("x")]}}});
        redact(&mut tree);
        let requests = &tree["quota_requests"]["value"];
        assert_eq!((&requests["a"][0]["id"], &requests["b"][0]["id"]), (&json!("request-1"), &json!("request-2")));
        assert_eq!(requests["a"][0]["desired_value"], 120.0);
    }

    #[test]
    fn ids_keep_their_order_over_both_lengths() {
        let ids = ["subnet-0123456789abcdef0", "subnet-1a2b3c4d", "subnet-f0000000000000000"];
        let mut tree = json!(ids);
        redact(&mut tree);
        let new: Vec<&str> = tree.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert!(new.is_sorted() && new.iter().collect::<BTreeSet<_>>().len() == 3, "{new:?}");
        assert!(new.iter().zip(ids).all(|(new, old)| new.len() == old.len() && *new != old), "{new:?}");
    }

    #[test]
    fn an_address_stays_in_its_block_and_everything_is_still_everything() {
        let blocks = ["10.20.0.0/16", "10.20.48.0/20", "0.0.0.0/0", "::/0", "2600:1f18:aa00::/56", "10.0.0.0/8"];
        let addresses = ["10.20.49.7", "10.20.64.1", "2600:1f18:aa00:17::5", "8.8.8.8", "203.0.113.9"];
        let mut tree = json!([blocks, addresses]);
        redact(&mut tree);
        let read =
            |list: &Value| list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let (new_blocks, new_addresses) = (read(&tree[0]), read(&tree[1]));
        for (block, new_block) in blocks.iter().zip(&new_blocks) {
            for (address, new_address) in addresses.iter().zip(&new_addresses) {
                let contains =
                    |block: &str, address: &str| block.parse::<IpNet>().unwrap().contains(&address.parse::<IpAddr>().unwrap());
                assert_eq!(
                    contains(block, address),
                    contains(new_block, new_address),
                    "{block} {address}: {new_block} {new_address}"
                );
            }
            let new: IpNet = new_block.parse().unwrap();
            assert_eq!(new.trunc(), new, "no host bits");
        }
        assert_eq!((&*new_blocks[2], &*new_blocks[3], &*new_blocks[5]), ("0.0.0.0/0", "::/0", "10.0.0.0/8"));
    }

    #[test]
    fn addresses_within_text_and_names_of_hosts_are_found() {
        // Twenty-four bits change or not; each text is long enough that all of them staying is a matter of 2^-24.
        let texts = [
            "to 10.1.2.3:8080 and [2600:1f18:1:2:3:4:5:6]:80.",
            "10.1.2.3,10.4.5.6/32",
            "ip-10-1-2-3.eu-west-1.compute.internal",
            "at 10.1.2.3.",
            "ip-10-1-2-3-spot and kube-proxy-ip-10-1-2-3",
        ];
        let mut tree = json!(texts);
        redact(&mut tree);
        let text = tree.to_string();
        for gone in ["10.1.2.3", "10-1-2-3", "2600:1f18:1:2", "10.4.5.6"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        let host = tree[2].as_str().unwrap();
        let dashed = host.strip_prefix("ip-").unwrap().split('.').next().unwrap().replace('-', ".");
        assert_eq!(tree[3], format!("at {dashed}."));
        assert!(host.ends_with(".eu-west-1.compute.internal"));
    }

    #[test]
    fn what_is_no_address_or_id_stays() {
        let texts = [
            "v2.8.2",
            "shop/web",
            "2026-01-01T00:00:00Z",
            "Service:shop/web",
            "web-7f9c4b6d8-abcde",
            "tcp",
            "::",
            "fe.ed",
            "1.2.3",
            "deadbeef",
        ];
        let mut tree = json!(texts);
        redact(&mut tree);
        assert_eq!(tree, json!(texts));
    }
}
