//! Journal opcodes (protocol section 3.3; Dragonfly `journal/types.h`).

/// The first field of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    /// The database of the records that follow.
    Select,
    /// `DEL key` for an expired key, until v1.37.
    Expired,
    /// A command.
    Command,
    /// A command inside MULTI, until v1.20.
    MultiCommand,
    /// The end of a MULTI, until v1.20. It has an LSN and no command.
    Exec,
    /// A request for an ACK (TAKEOVER, WAIT).
    Ping,
    /// The LSN of the previous record.
    Lsn,
}

impl Opcode {
    /// The opcode of a number on the wire. 0 (NOOP) and 14 (FIN) do not occur on a replication flow.
    pub(crate) fn from_wire(value: u64) -> Option<Self> {
        match value {
            6 => Some(Self::Select),
            9 => Some(Self::Expired),
            10 => Some(Self::Command),
            11 => Some(Self::MultiCommand),
            12 => Some(Self::Exec),
            13 => Some(Self::Ping),
            15 => Some(Self::Lsn),
            _ => None,
        }
    }
}
