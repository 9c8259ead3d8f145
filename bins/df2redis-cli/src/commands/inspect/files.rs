//! The files of a data set, and the information in their heads.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use bytes::Bytes;
use dfly_rdb::{Config, Event, Magic, Reader};

/// Opens a reader at the start of a file.
pub(super) fn open(path: &Path, config: Config) -> anyhow::Result<Reader<File>> {
    Ok(Reader::new(File::open(path).context("cannot open the file")?, config))
}

/// One file of a data set.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    pub head: Head,
}

/// The information that a file holds before its first key.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub magic: Option<Magic>,
    /// The id of a Dragonfly set, which is the same in all its files.
    pub snapshot_id: Option<String>,
    /// Number of shard files of a Dragonfly set.
    pub shards: Option<u32>,
    /// The time when the file was written, in milliseconds since 1970.
    pub written_at: Option<i64>,
    /// The server that wrote the file.
    pub producer: Option<String>,
    /// Whether it is the first part of an append-only file.
    append_only: bool,
}

impl Part {
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn open(path: &Path) -> anyhow::Result<Self> {
        let read = || {
            identify(path)?;
            let size = std::fs::metadata(path)?.len();
            let head = Head::read(path)?;
            ensure!(!head.append_only, APPEND_ONLY);
            Ok(Self { path: path.to_owned(), size, head })
        };
        read().with_context(|| path.display().to_string())
    }
}

impl Head {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut reader = open(path, Config::default())?;
        let mut head = Self::default();
        while let Some(event) = reader.next_event()? {
            match event {
                Event::Magic(magic) => head.magic = Some(magic),
                Event::Aux { key, value } => head.note(&key, &value),
                _ => break,
            }
        }
        Ok(head)
    }

    fn note(&mut self, key: &Bytes, value: &Bytes) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match &key[..] {
            b"snapshot-id" => self.snapshot_id = Some(text()),
            b"shard-count" => self.shards = text().parse().ok(),
            b"ctime" => self.written_at = text().parse::<i64>().ok().and_then(|s| s.checked_mul(1000)),
            b"df-ver" => self.producer = Some(format!("Dragonfly {}", text().trim_start_matches("df-"))),
            b"valkey-ver" => self.producer = Some(format!("Valkey {}", text())),
            // Dragonfly and Valkey also write a Redis version.
            b"redis-ver" if self.producer.is_none() => self.producer = Some(format!("Redis {}", text())),
            b"aof-preamble" | b"aof-base" => self.append_only |= *value == "1",
            _ => {}
        }
    }

    /// The name of the format, such as `REDIS0010`.
    pub(super) fn format(&self) -> String {
        self.magic.map(|magic| magic.to_string()).unwrap_or_default()
    }
}

const APPEND_ONLY: &str = "this is an append-only file; only snapshots can be read: \
load it into a redis-server, run SAVE there, and use that .rdb file";

/// Refuses a file that is not a snapshot, and names its kind.
fn identify(path: &Path) -> anyhow::Result<()> {
    let mut start = Vec::new();
    let file = File::open(path).context("cannot open the file")?;
    ensure!(!file.metadata().context("cannot open the file")?.is_dir(), "this is a folder, not a file");
    file.take(10).read_to_end(&mut start).context("cannot read the file")?;
    match &start[..] {
        [b'R', b'E', b'D', b'I', b'S', ..] | [b'V', b'A', b'L', b'K', b'E', b'Y', ..] => Ok(()),
        [] => bail!("the file is empty"),
        [b'*', b'0'..=b'9', ..] | [b'#', b'T', b'S', b':', ..] => bail!(APPEND_ONLY),
        [b'f', b'i', b'l', b'e', b' ', ..] if path.extension().is_some_and(|e| e == "manifest") => {
            bail!(APPEND_ONLY)
        }
        [0x1f, 0x8b, ..] => bail!("the file is compressed with gzip; unpack it first"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => bail!("the file is compressed with zstd; unpack it first"),
        _ => bail!("this is not a snapshot: it starts with neither REDIS nor VALKEY"),
    }
}

/// All files of the data set that `named` names, each once, in reading order.
pub(super) fn resolve(named: &[PathBuf]) -> anyhow::Result<Vec<Part>> {
    let (mut parts, mut seen) = (Vec::new(), BTreeSet::new());
    for path in named {
        let own = match Set::of(path)? {
            Some(set) if seen.contains(&set.summary()) => {
                set.holds(path, &parts)?;
                continue;
            }
            Some(set) => {
                seen.insert(set.summary());
                let own = set.parts()?;
                set.holds(path, &own)?;
                own
            }
            None => vec![Part::open(path)?],
        };
        parts.extend(own);
    }
    let mut files = BTreeSet::new();
    parts.retain(|part| files.insert(part.path.clone()));
    Ok(parts)
}

/// A Dragonfly set: `BASE-summary.dfs` and one `BASE-NNNN.dfs` per shard (protocol section 7.3).
#[derive(Debug)]
struct Set {
    base: String,
    folder: PathBuf,
}

impl Set {
    fn of(path: &Path) -> anyhow::Result<Option<Self>> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(stem) = name.strip_suffix(".dfs") else { return Ok(None) };
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        match stem.rsplit_once('-') {
            Some((base, end)) if end == "summary" || is_shard(end) => {
                Ok(Some(Self { base: base.to_owned(), folder }))
            }
            _ => Err(anyhow!(
                "{}: a file of a Dragonfly set is named NAME-summary.dfs or NAME-0000.dfs; these names identify the set",
                path.display()
            )),
        }
    }

    fn summary(&self) -> PathBuf {
        self.folder.join(format!("{}-summary.dfs", self.base))
    }

    fn shard(&self, index: u32) -> PathBuf {
        self.folder.join(format!("{}-{index:04}.dfs", self.base))
    }

    fn parts(&self) -> anyhow::Result<Vec<Part>> {
        let summary = self.summary();
        ensure!(
            summary.exists(),
            "{}: the summary file of the set is missing; it names the shard files that belong together",
            summary.display()
        );
        let mut parts = vec![Part::open(&summary)?];
        let (shards, id) = match parts.first() {
            Some(part) => (part.head.shards, part.head.snapshot_id.clone()),
            None => (None, None),
        };
        // Old versions do not record the number of shards.
        let shards = shards.unwrap_or_else(|| (0..u32::MAX).find(|i| !self.shard(*i).exists()).unwrap_or(0));
        for index in 0..shards {
            let path = self.shard(index);
            ensure!(
                path.exists(),
                "{}: this shard file is missing; the summary says that the set has {shards}",
                path.display()
            );
            let part = Part::open(&path)?;
            ensure!(part.head.snapshot_id == id, mixed(&part, id.as_deref(), &summary));
            parts.push(part);
        }
        Ok(parts)
    }

    /// Refuses a named shard file that does not belong to the set.
    fn holds(&self, path: &Path, parts: &[Part]) -> anyhow::Result<()> {
        let name = path.file_name();
        let known = parts.iter().any(|part| part.path.file_name() == name);
        ensure!(
            known,
            "{}: this file does not belong to the set of {}, which has fewer shards",
            path.display(),
            self.summary().display()
        );
        Ok(())
    }
}

fn is_shard(end: &str) -> bool {
    end.len() >= 4 && end.bytes().all(|byte| byte.is_ascii_digit())
}

fn mixed(part: &Part, id: Option<&str>, summary: &Path) -> String {
    let id = id.unwrap_or("none");
    let own = part.head.snapshot_id.as_deref().unwrap_or("none");
    format!(
        "{}: this file is from another snapshot than {}: their snapshot-ids are {own} and {id}",
        part.name(),
        summary.display()
    )
}
