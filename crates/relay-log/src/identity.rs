//! The owner of a log.

use std::fmt;

use thiserror::Error;

/// Length of the id of a source, in bytes. It is the replication id of the master.
pub(crate) const SOURCE_ID: usize = 40;

/// The flow that a log belongs to. It is in the header of every segment, so segments of different flows are never mixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub(crate) source_id: [u8; SOURCE_ID],
    pub(crate) flow: u16,
    pub(crate) flows: u16,
}

/// Why an identity is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The id is not 40 printable ASCII characters.
    #[error("{0:?} is not a source id: 40 printable characters are expected")]
    SourceId(String),
    /// The number of the flow is not below the number of flows.
    #[error("there is no flow {0} among {1}")]
    Flow(u16, u16),
}

impl Identity {
    /// Flow `flow`, counted from 0, of the `flows` flows of the source with the id `source_id`.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn new(source_id: &str, flow: u16, flows: u16) -> Result<Self, IdentityError> {
        let bytes = <[u8; SOURCE_ID]>::try_from(source_id.as_bytes()).ok();
        let known = bytes.filter(|bytes| bytes.iter().all(u8::is_ascii_graphic));
        let source_id = known.ok_or_else(|| IdentityError::SourceId(source_id.to_owned()))?;
        if flow >= flows {
            return Err(IdentityError::Flow(flow, flows));
        }
        Ok(Self { source_id, flow, flows })
    }

    /// The id of the source.
    pub fn source_id(&self) -> String {
        String::from_utf8_lossy(&self.source_id).into_owned()
    }

    /// The number of the flow, from 0.
    pub fn flow(&self) -> u16 {
        self.flow
    }

    /// The number of flows of the source.
    pub fn flows(&self) -> u16 {
        self.flows
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow {} of {} of the source {}", self.flow, self.flows, self.source_id.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let id = "0123456789012345678901234567890123456789";
        let identity = Identity::new(id, 3, 4).unwrap();
        assert_eq!(identity.to_string(), format!("flow 3 of 4 of the source {id}"));
        assert_eq!(identity.source_id(), id);
        assert_eq!(Identity::new(id, 4, 4), Err(IdentityError::Flow(4, 4)));
        for bad in ["", "short", &id.replace('9', " "), &id.replace("89", "é")] {
            assert_eq!(Identity::new(bad, 0, 1), Err(IdentityError::SourceId(bad.to_owned())));
        }
    }
}
