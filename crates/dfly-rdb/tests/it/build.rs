//! Writes streams byte by byte, for what no recording has.

use dfly_wire::{crc64, packed};

/// A stream or a part of one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Build(pub(crate) Vec<u8>);

impl Build {
    /// A stream that starts with `magic`.
    pub(crate) fn stream(magic: &str) -> Self {
        Self(magic.as_bytes().to_vec())
    }

    pub(crate) fn part() -> Self {
        Self::default()
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn len(mut self, value: u64) -> Self {
        packed::write_uint(value, &mut self.0);
        self
    }

    pub(crate) fn str(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.len(bytes.len() as u64).raw(bytes)
    }

    /// A type and a key.
    pub(crate) fn key(self, type_id: u8, key: &str) -> Self {
        self.raw(&[type_id]).str(key)
    }

    /// A chunk of a tagged stream.
    pub(crate) fn chunk(self, id: u32, payload: &[u8]) -> Self {
        let size = u32::try_from(payload.len()).unwrap();
        self.raw(&[0xe0]).raw(&id.to_le_bytes()).raw(&size.to_le_bytes()).raw(payload)
    }

    /// An LZ4 blob of `items`.
    pub(crate) fn lz4(self, items: &[u8]) -> Self {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        std::io::Write::write_all(&mut encoder, items).unwrap();
        self.raw(&[0xca]).str(encoder.finish().unwrap())
    }

    /// A zstd blob of `items`.
    #[cfg(feature = "zstd")]
    pub(crate) fn zstd(self, items: &[u8]) -> Self {
        self.raw(&[0xc9]).str(zstd::encode_all(items, 1).unwrap())
    }

    /// The end with no checksum.
    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(&[0xff]).raw(&[0; 8]).0
    }

    /// The end with the right checksum.
    pub(crate) fn sealed(self) -> Vec<u8> {
        let stream = self.raw(&[0xff]);
        let checksum = crc64::checksum(&stream.0);
        stream.raw(&checksum.to_le_bytes()).0
    }

    /// A DUMP payload of what was written.
    pub(crate) fn dump(self, version: u16) -> Vec<u8> {
        let payload = self.raw(&version.to_le_bytes());
        let checksum = crc64::checksum(&payload.0);
        payload.raw(&checksum.to_le_bytes()).0
    }
}

/// An element of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Elem {
    Int(i64),
    Text(Vec<u8>),
}

impl Elem {
    pub(crate) fn text(&self) -> Vec<u8> {
        match self {
            Self::Int(value) => value.to_string().into_bytes(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl From<&str> for Elem {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl From<i64> for Elem {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// A listpack of `elements`.
pub(crate) fn listpack(elements: &[Elem]) -> Vec<u8> {
    let mut body = Vec::new();
    for element in elements {
        let encoded = match element {
            Elem::Int(value) => listpack_int(*value),
            Elem::Text(text) => listpack_text(text),
        };
        let size = encoded.len();
        body.extend(encoded);
        let width = match size {
            ..=127 => 1,
            128..16_383 => 2,
            16_383..2_097_151 => 3,
            _ => 4,
        };
        for group in (0..width).rev() {
            let more = if group == width - 1 { 0 } else { 0x80 };
            body.push(u8::try_from(size >> (7 * group) & 0x7f).unwrap() | more);
        }
    }
    let total = u32::try_from(body.len() + 7).unwrap();
    let count = u16::try_from(elements.len()).unwrap_or(u16::MAX);
    [&total.to_le_bytes()[..], &count.to_le_bytes(), &body, &[0xff]].concat()
}

fn listpack_int(value: i64) -> Vec<u8> {
    if let Ok(small @ 0..=127) = u8::try_from(value) {
        return vec![small];
    }
    if (-4096..4096).contains(&value) {
        let [.., high, low] = (value & 0x1fff).to_be_bytes();
        return vec![0xc0 | high, low];
    }
    sized_int(value, [0xf1, 0xf2, 0xf3, 0xf4])
}

fn sized_int(value: i64, [two, three, four, eight]: [u8; 4]) -> Vec<u8> {
    let raw = value.to_le_bytes();
    let (marker, width) = match value {
        -0x8000..=0x7fff => (two, 2),
        -0x80_0000..=0x7f_ffff => (three, 3),
        -0x8000_0000..=0x7fff_ffff => (four, 4),
        _ => (eight, 8),
    };
    [&[marker], &raw[..width]].concat()
}

fn listpack_text(text: &[u8]) -> Vec<u8> {
    let size = u32::try_from(text.len()).unwrap();
    let [.., high, low] = size.to_be_bytes();
    let head = match size {
        ..64 => vec![0x80 | low],
        64..4096 => vec![0xe0 | high, low],
        _ => [&[0xf0], &size.to_le_bytes()[..]].concat(),
    };
    [&head, text].concat()
}

/// A ziplist of `elements`.
pub(crate) fn ziplist(elements: &[Elem]) -> Vec<u8> {
    let (mut body, mut previous, mut tail) = (Vec::new(), 0_usize, 10);
    for element in elements {
        let encoded = match element {
            Elem::Int(value) => ziplist_int(*value),
            Elem::Text(text) => ziplist_text(text),
        };
        let back = match u8::try_from(previous) {
            Ok(short @ ..254) => vec![short],
            _ => [&[0xfe], &u32::try_from(previous).unwrap().to_le_bytes()[..]].concat(),
        };
        tail = 10 + body.len();
        previous = back.len() + encoded.len();
        body.extend(back);
        body.extend(encoded);
    }
    let total = u32::try_from(body.len() + 11).unwrap();
    let count = u16::try_from(elements.len()).unwrap_or(u16::MAX);
    let tail = u32::try_from(tail).unwrap();
    [&total.to_le_bytes()[..], &tail.to_le_bytes(), &count.to_le_bytes(), &body, &[0xff]].concat()
}

fn ziplist_int(value: i64) -> Vec<u8> {
    match (u8::try_from(value), i8::try_from(value)) {
        (Ok(small @ 0..=12), _) => vec![0xf1 + small],
        (_, Ok(byte)) => vec![0xfe, byte.cast_unsigned()],
        _ => sized_int(value, [0xc0, 0xf0, 0xd0, 0xe0]),
    }
}

fn ziplist_text(text: &[u8]) -> Vec<u8> {
    let size = u32::try_from(text.len()).unwrap();
    let [.., high, low] = size.to_be_bytes();
    let head = match size {
        ..64 => vec![low],
        64..16384 => vec![0x40 | high, low],
        _ => [&[0x80], &size.to_be_bytes()[..]].concat(),
    };
    [&head, text].concat()
}

/// A zipmap of pairs; every value has `unused` bytes behind it.
pub(crate) fn zipmap(pairs: &[(&str, &str)], unused: u8) -> Vec<u8> {
    let size = |text: &str| match u8::try_from(text.len()) {
        Ok(short @ ..254) => vec![short],
        _ => [&[254], &u32::try_from(text.len()).unwrap().to_le_bytes()[..]].concat(),
    };
    let mut out = vec![u8::try_from(pairs.len()).unwrap()];
    for (field, value) in pairs {
        out.extend([&size(field), field.as_bytes(), &size(value), &[unused], value.as_bytes()].concat());
        out.extend(vec![0xaa; usize::from(unused)]);
    }
    out.push(0xff);
    out
}

/// An intset whose members have `width` bytes.
pub(crate) fn intset(width: usize, members: &[i64]) -> Vec<u8> {
    let mut out = u32::try_from(width).unwrap().to_le_bytes().to_vec();
    out.extend(u32::try_from(members.len()).unwrap().to_le_bytes());
    members.iter().for_each(|member| out.extend(&member.to_le_bytes()[..width]));
    out
}

/// `text` as LZF: runs of four and more that came within the last 8 KiB are references.
pub(crate) fn lzf(text: &[u8]) -> Vec<u8> {
    let (mut out, mut literal, mut at) = (Vec::new(), 0, 0);
    while at < text.len() {
        match reference(text, at) {
            Some((from, length)) => {
                flush(&text[literal..at], &mut out);
                let distance = at - from - 1;
                let high = u8::try_from(distance >> 8).unwrap();
                let extra = length - 2;
                match u8::try_from(extra) {
                    Ok(short @ ..7) => out.push(short << 5 | high),
                    _ => out.extend([7 << 5 | high, u8::try_from(extra - 7).unwrap()]),
                }
                out.push(u8::try_from(distance & 0xff).unwrap());
                at += length;
                literal = at;
            }
            None => at += 1,
        }
    }
    flush(&text[literal..], &mut out);
    out
}

fn reference(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let found = (at.saturating_sub(8191)..at).rev().take(64).map(|from| {
        let same = text[at..].iter().zip(&text[from..]).take(264).take_while(|(a, b)| a == b).count();
        (from, same)
    });
    found.max_by_key(|(_, same)| *same).filter(|(_, same)| *same >= 4)
}

fn flush(literal: &[u8], out: &mut Vec<u8>) {
    for run in literal.chunks(32) {
        out.push(u8::try_from(run.len() - 1).unwrap());
        out.extend_from_slice(run);
    }
}

/// A string that is stored as LZF.
pub(crate) fn lzf_str(text: &[u8]) -> Vec<u8> {
    let packed = lzf(text);
    Build::part().raw(&[0xc3]).len(packed.len() as u64).len(text.len() as u64).raw(&packed).0
}
