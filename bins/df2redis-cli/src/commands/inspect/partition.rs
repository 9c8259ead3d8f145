//! Joins two sets of keys of any size in bounded memory. Each key's fingerprint goes into one of several temporary files.
//! A hash of database and key selects the file, so both sides of a key are in the same file. Then the files are loaded into
//! memory one by one. A file that is too large is divided again in the same way.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use xxhash_rust::xxh3::Xxh3Default;

/// Number of files that keys are divided into.
const PARTS: u64 = 64;

/// Size of the largest file that is loaded into memory, in bytes. As a map, it takes up to 200 MiB.
const HELD: u64 = 64 << 20;

/// Maximum number of times that a file is divided: 64^4 files of 64 MiB are more than a disk holds.
const DEPTH: u64 = 4;

/// The set that a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    A,
    B,
}

/// Everything that is compared about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub db: u32,
    pub key: Vec<u8>,
    pub kind: String,
    /// In milliseconds since 1970.
    pub expire_at: Option<i64>,
    pub digest: u128,
    /// Number of elements, or bytes of a text.
    pub elements: u64,
}

/// The fingerprints of one key on side A and side B.
pub(super) type Pair<'p> = (Option<&'p Fingerprint>, Option<&'p Fingerprint>);

/// Collects the fingerprints of both sets.
pub(super) struct Join {
    files: Vec<BufWriter<File>>,
    sizes: Vec<u64>,
    depth: u64,
    held: u64,
}

impl Join {
    pub(super) fn new() -> io::Result<Self> {
        Self::at(0, HELD)
    }

    fn at(depth: u64, held: u64) -> io::Result<Self> {
        let file = |_| tempfile::tempfile().map(|file| BufWriter::with_capacity(32 << 10, file));
        let files: Vec<_> = (0..PARTS).map(file).collect::<io::Result<_>>()?;
        Ok(Self { sizes: vec![0; files.len()], files, depth, held })
    }

    /// Adds a key. All keys of [`Side::A`] must be added first.
    pub(super) fn add(&mut self, side: Side, key: &Fingerprint) -> io::Result<()> {
        let mut hash = Xxh3Default::new();
        hash.update(&self.depth.to_le_bytes());
        hash.update(&key.db.to_le_bytes());
        hash.update(&key.key);
        let index = usize::try_from(hash.digest() % PARTS).unwrap_or_default();
        let record = encode(side, key);
        if let (Some(file), Some(size)) = (self.files.get_mut(index), self.sizes.get_mut(index)) {
            file.write_all(&record)?;
            *size += record.len() as u64;
        }
        Ok(())
    }

    /// Passes every key to `take` once, with the fingerprint of each side. The keys of one file are sorted.
    pub(super) fn finish<E: From<io::Error>>(
        self,
        take: &mut impl FnMut(Pair<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (depth, held) = (self.depth, self.held);
        for (file, size) in self.files.into_iter().zip(self.sizes) {
            let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.rewind()?;
            let file = BufReader::new(file);
            if size > held && depth < DEPTH {
                divide(file, (depth + 1, held))?.finish(take)?;
            } else {
                join(file, take)?;
            }
        }
        Ok(())
    }
}

fn divide(mut file: BufReader<File>, (depth, held): (u64, u64)) -> io::Result<Join> {
    let mut parts = Join::at(depth, held)?;
    while let Some((side, key)) = decode(&mut file)? {
        parts.add(side, &key)?;
    }
    Ok(parts)
}

fn join<E: From<io::Error>>(
    mut file: BufReader<File>,
    take: &mut impl FnMut(Pair<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut keys: HashMap<(u32, Vec<u8>), [Option<Fingerprint>; 2]> = HashMap::new();
    while let Some((side, key)) = decode(&mut file)? {
        let pair = keys.entry((key.db, key.key.clone())).or_default();
        // If a set holds a key twice, the last one counts, as it does for a server that loads the set.
        let [a, b] = pair;
        *(if side == Side::A { a } else { b }) = Some(key);
    }
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
    keys.iter().try_for_each(|(_, [a, b])| take((a.as_ref(), b.as_ref())))
}

fn encode(side: Side, key: &Fingerprint) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.key.len() + 80);
    out.push(u8::from(side == Side::B));
    out.extend_from_slice(&key.db.to_le_bytes());
    out.extend_from_slice(&key.expire_at.unwrap_or(i64::MIN).to_le_bytes());
    out.extend_from_slice(&key.digest.to_le_bytes());
    out.extend_from_slice(&key.elements.to_le_bytes());
    for text in [key.kind.as_bytes(), &key.key] {
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text);
    }
    out
}

/// The next record, or `None` at the end.
fn decode(file: &mut BufReader<File>) -> io::Result<Option<(Side, Fingerprint)>> {
    let mut first = [0];
    if file.read(&mut first)? == 0 {
        return Ok(None);
    }
    let side = if first == [0] { Side::A } else { Side::B };
    let db = u32::from_le_bytes(array(file)?);
    let expire_at = Some(i64::from_le_bytes(array(file)?)).filter(|at| *at != i64::MIN);
    let (digest, elements) = (u128::from_le_bytes(array(file)?), u64::from_le_bytes(array(file)?));
    let kind = String::from_utf8_lossy(&bytes(file)?).into_owned();
    let key = bytes(file)?;
    Ok(Some((side, Fingerprint { db, key, kind, expire_at, digest, elements })))
}

fn array<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut raw = [0; N];
    file.read_exact(&mut raw)?;
    Ok(raw)
}

fn bytes(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let size = u64::from_le_bytes(array(file)?);
    let mut out = Vec::new();
    if file.take(size).read_to_end(&mut out)? as u64 != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: u32, digest: u128) -> Fingerprint {
        let expire_at = i.is_multiple_of(3).then_some(i64::from(i));
        let key = format!("key:{i}").into_bytes();
        Fingerprint { db: i % 2, key, kind: "hash".into(), expire_at, digest, elements: 7 }
    }

    /// Files of any size give the same result, with each key once.
    #[test]
    fn sides_meet() {
        for held in [u64::MAX, 2000, 300] {
            let mut join = Join::at(0, held).unwrap();
            (0..2000).for_each(|i| join.add(Side::A, &key(i, 1)).unwrap());
            (1000..3000).for_each(|i| join.add(Side::B, &key(i, 2)).unwrap());
            let mut found = Vec::new();
            let mut take = |(a, b): Pair<'_>| -> io::Result<()> {
                let any = a.or(b).unwrap();
                let i: u32 = std::str::from_utf8(&any.key[4..]).unwrap().parse().unwrap();
                assert!(a.is_none_or(|a| *a == key(i, 1)) && b.is_none_or(|b| *b == key(i, 2)));
                found.push((i, a.is_some(), b.is_some()));
                Ok(())
            };
            join.finish(&mut take).unwrap();
            found.sort_unstable();
            let stated: Vec<_> = (0..3000).map(|i| (i, i < 2000, i >= 1000)).collect();
            assert_eq!(found, stated);
        }
    }
}
