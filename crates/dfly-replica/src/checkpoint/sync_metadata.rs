//! What holds for all sessions of one full synchronisation and of what follows it. It is stored beside the positions.

use std::borrow::Cow;

use redis_resp::Reply;

use super::fields::SHARDING;
use crate::config::{EngineConfig, OnConflict};
use crate::error::Error;
use crate::source::sharding::Sharding;
use crate::target::questions::{TargetConnection, demand};
use crate::target::replies::strange;

pub(crate) const SWEEP: &str = "sweep";
pub(crate) const WRITTEN: &str = "written";
const KEEP: &str = "keep";
const SETTINGS: &str = "settings";
const RELEASE: &str = "version";
const SYNC: &str = "sync";

/// What becomes of keys of the target that the source does not have, in a full synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraKeys {
    /// There are none: the target is empty.
    None,
    /// They stay, in later synchronisations too.
    Keep,
    /// They are removed when the snapshot is complete (P17).
    Remove,
    /// So are those that a first synchronisation has written before it was broken off, which so many lists tell; others must
    /// not be there.
    RemoveWritten(u16),
}

/// Fields of the hash that holds the positions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SyncMetadata {
    /// Keys that the source does not have are still to be removed.
    pub sweep: bool,
    /// Such keys stay, in later synchronisations too.
    pub keep: bool,
    /// How many lists name what was written since the target was empty, while that matters; 0: it is not known.
    pub written: u16,
    /// How the source spreads its keys, once that is certain.
    pub sharding: Option<Sharding>,
    /// Those that change what is written, as [`settings`] has them; `None`: a run of an older version did not say.
    pub settings: Option<String>,
    /// The full synchronisation that all goes back to: the session that began it. Empty: an older version did not say.
    pub sync: String,
    /// The source's release, as it names it itself; empty if it did not.
    pub release: String,
}

impl SyncMetadata {
    /// At the start of a full synchronisation that the session `owner` begins.
    pub(crate) fn begin(keys: ExtraKeys, config: &EngineConfig, release: String, owner: &str) -> Self {
        Self {
            sweep: matches!(keys, ExtraKeys::Remove | ExtraKeys::RemoveWritten(_)),
            keep: keys == ExtraKeys::Keep,
            written: 0,
            sharding: None,
            settings: Some(settings(config)),
            sync: owner.to_owned(),
            release,
        }
    }

    /// With the lists of what is written by this many flows.
    pub(crate) fn noting(self, keys: ExtraKeys, flows: u16) -> Self {
        let written = match keys {
            ExtraKeys::None => flows,
            ExtraKeys::RemoveWritten(lists) => lists.max(flows),
            ExtraKeys::Keep | ExtraKeys::Remove => 0,
        };
        Self { written, ..self }
    }

    /// As a session before has left it.
    ///
    /// # Errors
    /// The target's refusal: what is not known is not taken for unset.
    pub(crate) async fn load(target: &mut TargetConnection) -> Result<Self, Error> {
        let key = target.names().checkpoint().to_owned();
        let request = ["HMGET", &key, SWEEP, KEEP, SHARDING, SETTINGS, RELEASE, SYNC, WRITTEN];
        let found = match demand(target, "HMGET", &request).await? {
            Reply::Array(found) => found,
            other => return Err(strange("HMGET", &other)),
        };
        let text = |at: usize| match found.get(at) {
            Some(Reply::Bulk(text)) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        };
        let is_set = |at: usize| text(at).as_deref() == Some("1");
        Ok(Self {
            sweep: is_set(0),
            keep: is_set(1),
            sharding: text(2).and_then(|name| Sharding::named(&name)),
            settings: text(3),
            release: text(4).unwrap_or_default(),
            sync: text(5).unwrap_or_default(),
            written: text(6).and_then(|lists| lists.parse().ok()).unwrap_or_default(),
        })
    }

    /// Each with its name.
    pub(crate) fn fields(&self) -> Vec<[Cow<'_, str>; 2]> {
        let flag = |set: bool| if set { "1" } else { "0" };
        let mut fields = vec![
            [SWEEP.into(), flag(self.sweep).into()],
            [KEEP.into(), flag(self.keep).into()],
            [RELEASE.into(), self.release.as_str().into()],
            [SYNC.into(), self.sync.as_str().into()],
        ];
        fields.extend(self.sharding.map(|sharding| [SHARDING.into(), sharding.name().into()]));
        fields.extend(self.settings.as_deref().map(|settings| [SETTINGS.into(), settings.into()]));
        fields.extend((self.written > 0).then(|| [WRITTEN.into(), self.written.to_string().into()]));
        fields
    }

    /// Whether what was written with other settings can be gone on with.
    ///
    /// # Errors
    /// [`Error::OtherSettings`].
    pub(crate) fn check(&self, config: &EngineConfig) -> Result<(), Error> {
        let is = settings(config);
        match &self.settings {
            Some(was) if *was != is => Err(Error::OtherSettings { was: shown(was), is: shown(&is) }),
            _ => Ok(()),
        }
    }
}

fn shown(settings: &str) -> String {
    if settings.is_empty() { "the defaults".to_owned() } else { settings.to_owned() }
}

/// The settings that change what is written.
fn settings(config: &EngineConfig) -> String {
    let rules = config.rules.settings();
    let conflict = match config.on_conflict {
        OnConflict::Overwrite => return rules,
        OnConflict::Skip => "on-conflict skip",
        OnConflict::Panic => "on-conflict panic",
    };
    [rules.as_str(), conflict].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
}
