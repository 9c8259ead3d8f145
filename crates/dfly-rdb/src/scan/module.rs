//! Module values: self-describing items after the module's id (protocol section 7.8; Redis `rdb.h`, `RDB_MODULE_OPCODE`).

use dfly_wire::{Fault, FaultKind, Parsed, fixed, packed};

use super::{Phase, Scanner, Unit};
use crate::string::string;
use crate::type_id::{ModuleId, TypeId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModulePhase {
    Items,
}

const END: u64 = 0;
const SIGNED: u64 = 1;
const UNSIGNED: u64 = 2;
const FLOAT: u64 = 3;
const DOUBLE: u64 = 4;
const STRING: u64 = 5;

impl Scanner {
    /// A scan of the items of a module without a preceding id.
    pub(crate) fn module_items(limit: usize) -> Self {
        Self { phase: Phase::Module(ModulePhase::Items), ..Self::new(TypeId::Module, limit, 0) }
    }

    pub(super) fn start_module<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, id) = packed::uint(input)?;
        self.phase = Phase::Module(ModulePhase::Items);
        Ok((rest, Unit::ModuleId(ModuleId(id))))
    }

    pub(super) fn module<'a>(
        &mut self,
        input: &'a [u8],
        ModulePhase::Items: ModulePhase,
    ) -> Parsed<'a, Unit<'a>> {
        let (rest, opcode) = packed::uint(input)?;
        match opcode {
            END => {
                self.phase = Phase::Done;
                Ok((rest, Unit::Silent))
            }
            SIGNED => packed::uint(rest).map(|(rest, n)| (rest, Unit::ModuleSigned(n.cast_signed()))),
            UNSIGNED => packed::uint(rest).map(|(rest, n)| (rest, Unit::ModuleUnsigned(n))),
            FLOAT => fixed::f32_le(rest).map(|(rest, n)| (rest, Unit::ModuleFloat(n))),
            DOUBLE => fixed::f64_le(rest).map(|(rest, n)| (rest, Unit::ModuleDouble(n))),
            STRING => string(rest, self.limit).map(|(rest, text)| (rest, Unit::ModuleString(text))),
            _ => Fault::at(input, FaultKind::Invalid("unknown opcode in a module's data")),
        }
    }
}
