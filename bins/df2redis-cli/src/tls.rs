//! TLS flags and settings of both sides.

use std::path::PathBuf;

use clap::Args;
use redis_resp::connection::{Peer, Tls, TlsSettings};
use serde::{Deserialize, Serialize};

/// What is required of the servers' certificates, and which certificates they get. Only for an address that uses TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct TlsFlags {
    #[command(flatten)]
    #[serde(flatten)]
    pub source: SourceTlsFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub target: TargetTlsFlags,
}

/// TLS flags of the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct SourceTlsFlags {
    /// PEM file with the CA certificates to trust for the source [default: those of the system].
    #[arg(long, value_name = "FILE")]
    pub source_tls_ca: Option<PathBuf>,
    /// PEM file with the client certificate for the source and its intermediate certificates [default: none].
    #[arg(long, value_name = "FILE")]
    pub source_tls_cert: Option<PathBuf>,
    /// PEM file with the private key of --source-tls-cert [default: none].
    #[arg(long, value_name = "FILE")]
    pub source_tls_key: Option<PathBuf>,
    /// Name that the source's certificate must contain [default: the host of the address].
    #[arg(long, value_name = "NAME")]
    pub source_tls_server_name: Option<String>,
    /// Accept any certificate of the source, so that anyone on the network path can read and change all data [default: verify
    /// it].
    #[arg(long)]
    pub source_tls_insecure: bool,
}

/// TLS flags of the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct TargetTlsFlags {
    /// PEM file with the CA certificates to trust for the target [default: those of the system].
    #[arg(long, value_name = "FILE")]
    pub target_tls_ca: Option<PathBuf>,
    /// PEM file with the client certificate for the target and its intermediate certificates [default: none].
    #[arg(long, value_name = "FILE")]
    pub target_tls_cert: Option<PathBuf>,
    /// PEM file with the private key of --target-tls-cert [default: none].
    #[arg(long, value_name = "FILE")]
    pub target_tls_key: Option<PathBuf>,
    /// Name that the certificate of the target, and of every other server and Sentinel of it, must contain [default: the host
    /// of each address].
    #[arg(long, value_name = "NAME")]
    pub target_tls_server_name: Option<String>,
    /// Accept any certificate of the target, so that anyone on the network path can read and change all data [default: verify
    /// it].
    #[arg(long)]
    pub target_tls_insecure: bool,
}

impl TlsFlags {
    /// The settings of one side.
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

/// TLS for an address that uses it. Settings without effect are errors (P32).
pub(crate) fn tls(peer: Peer, is_asked_for: bool, settings: &TlsSettings) -> Result<Option<Tls>, String> {
    if !is_asked_for && *settings != TlsSettings::default() {
        return Err(format!(
            "--{peer}-tls-... has no effect, because the {peer}'s address does not use TLS: write {} in the address",
            encrypted(peer)
        ));
    }
    if settings.insecure && settings.ca.is_some() {
        return Err(format!(
            "--{peer}-tls-insecure accepts any certificate, so --{peer}-tls-ca has no effect: leave out one of them"
        ));
    }
    let tls = is_asked_for.then(|| Tls::new(settings)).transpose();
    tls.map_err(|error| format!("cannot set up TLS for the {peer}: {error}"))
}

fn encrypted(peer: Peer) -> &'static str {
    match peer {
        Peer::Source => "dragonflys://",
        Peer::Target => "rediss://",
    }
}
