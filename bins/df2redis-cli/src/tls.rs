//! TLS of both sides, as flags and settings.

use std::path::PathBuf;

use clap::Args;
use redis_resp::connection::{Peer, Tls, TlsSettings};
use serde::Deserialize;

/// What is asked of the servers, and shown to them; each only for an address that asks for TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct TlsFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub source: SourceTlsFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub target: TargetTlsFlags,
}

/// Those of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct SourceTlsFlags {
    /// A PEM file with the certificates that are trusted for the source; without it, the system's are.
    #[arg(long, value_name = "FILE")]
    pub source_tls_ca: Option<PathBuf>,
    /// A PEM file with the certificate that is shown to the source, and those between it and the root.
    #[arg(long, value_name = "FILE")]
    pub source_tls_cert: Option<PathBuf>,
    /// The key of --source-tls-cert.
    #[arg(long, value_name = "FILE")]
    pub source_tls_key: Option<PathBuf>,
    /// The name that the source's certificate is for, if it is not the host of the address.
    #[arg(long, value_name = "NAME")]
    pub source_tls_server_name: Option<String>,
    /// Take whatever certificate the source has: whoever sits between can read and change everything.
    #[arg(long)]
    pub source_tls_insecure: bool,
}

/// Those of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct TargetTlsFlags {
    /// A PEM file with the certificates that are trusted for the target; without it, the system's are.
    #[arg(long, value_name = "FILE")]
    pub target_tls_ca: Option<PathBuf>,
    /// A PEM file with the certificate that is shown to the target, and those between it and the root.
    #[arg(long, value_name = "FILE")]
    pub target_tls_cert: Option<PathBuf>,
    /// The key of --target-tls-cert.
    #[arg(long, value_name = "FILE")]
    pub target_tls_key: Option<PathBuf>,
    /// The name that the target's certificate is for, and that of every server and Sentinel of it, if it is not the host of
    /// the address.
    #[arg(long, value_name = "NAME")]
    pub target_tls_server_name: Option<String>,
    /// Take whatever certificate the target has: whoever sits between can read and change everything.
    #[arg(long)]
    pub target_tls_insecure: bool,
}

impl TlsFlags {
    /// What is not given here, as in `file`.
    pub(crate) fn or(self, file: Self) -> Self {
        let (source, other) = (self.source, file.source);
        let source = SourceTlsFlags {
            source_tls_ca: source.source_tls_ca.or(other.source_tls_ca),
            source_tls_cert: source.source_tls_cert.or(other.source_tls_cert),
            source_tls_key: source.source_tls_key.or(other.source_tls_key),
            source_tls_server_name: source.source_tls_server_name.or(other.source_tls_server_name),
            source_tls_insecure: source.source_tls_insecure || other.source_tls_insecure,
        };
        let (target, other) = (self.target, file.target);
        let target = TargetTlsFlags {
            target_tls_ca: target.target_tls_ca.or(other.target_tls_ca),
            target_tls_cert: target.target_tls_cert.or(other.target_tls_cert),
            target_tls_key: target.target_tls_key.or(other.target_tls_key),
            target_tls_server_name: target.target_tls_server_name.or(other.target_tls_server_name),
            target_tls_insecure: target.target_tls_insecure || other.target_tls_insecure,
        };
        Self { source, target }
    }

    /// Those of one side.
    pub(crate) fn of(&self, peer: Peer) -> TlsSettings {
        match peer {
            Peer::Source => self.source.settings(),
            Peer::Target => self.target.settings(),
        }
    }
}

impl SourceTlsFlags {
    fn settings(&self) -> TlsSettings {
        TlsSettings {
            ca: self.source_tls_ca.clone(),
            cert: self.source_tls_cert.clone(),
            key: self.source_tls_key.clone(),
            server_name: self.source_tls_server_name.clone(),
            insecure: self.source_tls_insecure,
        }
    }
}

impl TargetTlsFlags {
    pub(crate) fn settings(&self) -> TlsSettings {
        TlsSettings {
            ca: self.target_tls_ca.clone(),
            cert: self.target_tls_cert.clone(),
            key: self.target_tls_key.clone(),
            server_name: self.target_tls_server_name.clone(),
            insecure: self.target_tls_insecure,
        }
    }
}

/// TLS for an address that asks for it. Settings that would be of no use are errors (P32).
pub(crate) fn tls(peer: Peer, is_asked_for: bool, settings: &TlsSettings) -> Result<Option<Tls>, String> {
    if !is_asked_for && *settings != TlsSettings::default() {
        return Err(format!(
            "--{peer}-tls-... is for TLS, which the {peer}'s address does not ask for: write {} there",
            encrypted(peer)
        ));
    }
    if settings.insecure && settings.ca.is_some() {
        return Err(format!(
            "--{peer}-tls-insecure takes every certificate: leave out --{peer}-tls-ca, or it"
        ));
    }
    let tls = is_asked_for.then(|| Tls::new(settings)).transpose();
    tls.map_err(|error| format!("the {peer}'s TLS: {error}"))
}

fn encrypted(peer: Peer) -> &'static str {
    match peer {
        Peer::Source => "dragonflys://",
        Peer::Target => "rediss://",
    }
}
