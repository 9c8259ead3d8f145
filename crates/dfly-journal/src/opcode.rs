//! Journal opcodes (protocol section 3.3; Dragonfly `journal/types.h`).

/// What a record starts with.
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
    /// The end of a MULTI, until v1.20; counts, carries nothing.
    Exec,
    /// Asks for an ACK (TAKEOVER, WAIT).
    Ping,
    /// Says which LSN the previous counting record had.
    Lsn,
}

impl Opcode {
    /// The opcode of a number on the wire. 0 (NOOP) and 14 (FIN) never stand on a replication flow.
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
