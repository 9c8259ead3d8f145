//! Key prefixes with counts, in a tree of bounded size.

use std::collections::BTreeMap;

/// Maximum number of prefixes in the tree. At about 200 bytes each, they take some 20 MiB.
const NODES: usize = 100_000;

/// A part of a key with more bytes than this is not a prefix.
const LONGEST: usize = 128;

/// The keys under a prefix.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub keys: u64,
    pub bytes: u64,
    /// Children by the next part of the key, including the separator.
    pub children: BTreeMap<Vec<u8>, Self>,
}

impl Node {
    fn size(&self) -> usize {
        1 + self.children.values().map(Self::size).sum::<usize>()
    }

    /// Forgets prefixes of at most `keys` keys. Their keys stay counted in the prefixes above.
    fn prune(&mut self, keys: u64) {
        self.children.retain(|_, child| child.keys > keys);
        self.children.values_mut().for_each(|child| child.prune(keys));
    }
}

/// A tree that grows key by key.
#[derive(Debug)]
pub(super) struct Tree {
    pub root: Node,
    separator: Vec<u8>,
    depth: usize,
    nodes: usize,
    most: usize,
    /// A prefix may have up to this number of keys more than it shows, because prefixes were forgotten on the way.
    pub forgotten: u64,
}

impl Tree {
    pub(super) fn new(separator: &str, depth: u8) -> Self {
        Self::of(separator, depth, NODES)
    }

    fn of(separator: &str, depth: u8, most: usize) -> Self {
        let (separator, depth) = (separator.as_bytes().to_vec(), usize::from(depth));
        Self { root: Node::default(), separator, depth, nodes: 1, most, forgotten: 0 }
    }

    /// Counts a key under each of its prefixes.
    pub(super) fn add(&mut self, key: &[u8], bytes: u64) {
        let (mut node, mut rest, mut new) = (&mut self.root, key, 0);
        node.keys += 1;
        node.bytes += bytes;
        for _ in 0..self.depth {
            let Some(end) = find(rest, &self.separator).map(|at| at + self.separator.len()) else { break };
            let Some((part, behind)) = rest.split_at_checked(end).filter(|(part, _)| part.len() <= LONGEST)
            else {
                break;
            };
            if !node.children.contains_key(part) {
                node.children.insert(part.to_vec(), Node::default());
                new += 1;
            }
            let Some(child) = node.children.get_mut(part) else { break };
            node = child;
            rest = behind;
            node.keys += 1;
            node.bytes += bytes;
        }
        self.nodes += new;
        if self.nodes > self.most {
            self.prune();
        }
    }

    /// Forgets the smallest prefixes until half of them are left (lossy counting, Manku and Motwani 2002). `forgotten` grows
    /// with every pruning and bounds the number of keys that a prefix may have lost.
    fn prune(&mut self) {
        let mut keys = 1;
        while self.nodes > self.most / 2 {
            self.root.prune(keys);
            self.nodes = self.root.size();
            self.forgotten += keys;
            keys *= 2;
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(node: &Node, prefix: &str, out: &mut Vec<(String, u64, u64)>) {
        out.push((prefix.to_owned(), node.keys, node.bytes));
        for (part, child) in &node.children {
            flat(child, &format!("{prefix}{}", String::from_utf8_lossy(part)), out);
        }
    }

    fn all(tree: &Tree) -> Vec<(String, u64, u64)> {
        let mut out = Vec::new();
        flat(&tree.root, "", &mut out);
        out
    }

    #[test]
    fn counts_by_prefix() {
        let mut tree = Tree::new(":", 2);
        for (key, bytes) in
            [("user:1:name", 10), ("user:1:age", 5), ("user:2:name", 7), ("plain", 1), ("user:", 3)]
        {
            tree.add(key.as_bytes(), bytes);
        }
        let stated = [("", 5, 26), ("user:", 4, 25), ("user:1:", 2, 15), ("user:2:", 1, 7)];
        assert_eq!(all(&tree), stated.map(|(prefix, keys, bytes)| (prefix.to_owned(), keys, bytes)));
        assert_eq!(tree.forgotten, 0);
    }

    #[test]
    fn long_separators_and_long_parts() {
        let mut tree = Tree::new("::", 9);
        tree.add(b"a::b:c::d", 1);
        tree.add(&[&[b'x'; 200][..], b"::y"].concat(), 1);
        let names: Vec<String> = all(&tree).into_iter().map(|(prefix, _, _)| prefix).collect();
        assert_eq!(names, ["", "a::", "a::b:c::"]);
    }

    /// A tree of at most ten prefixes still finds the large ones, and reports by how much a count may be off.
    #[test]
    fn bounded() {
        let mut tree = Tree::of(":", 2, 10);
        for i in 0..1000 {
            tree.add(b"large:x", 1);
            tree.add(format!("small{i}:x").as_bytes(), 1);
            assert!(tree.nodes <= 10);
        }
        let all = all(&tree);
        let (_, keys, _) = all.iter().find(|(prefix, _, _)| prefix == "large:").unwrap();
        assert!(keys + tree.forgotten >= 1000 && *keys <= 1000, "{keys} {}", tree.forgotten);
        assert_eq!(all[0], (String::new(), 2000, 2000));
        assert!(tree.forgotten > 0);
    }
}
