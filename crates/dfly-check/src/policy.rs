//! What the target cannot hold, and what the settings of the replication say about it.

use std::str::FromStr;

use dfly_rdb::ValueKind;
use dfly_translate::{Ability, Loss, Policies, Policy as OnLoss, Target};

use crate::type_name::TypeName;
use crate::verdict::{Verdict, What};

/// The policies of the replication, beside what the target can do.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    policies: Policies,
    has_json: bool,
    has_field_ttl: bool,
}

impl Policy {
    /// The policies of a replication into this target.
    pub(crate) fn new(policies: Policies, target: &Target) -> Self {
        let (has_json, has_field_ttl) = (target.has(Ability::Json), target.has(Ability::FieldTtl));
        Self { policies, has_json, has_field_ttl }
    }

    fn is_dropped(&self, loss: Loss) -> bool {
        !matches!(self.policies.of_loss(loss), OnLoss::Fail)
    }

    /// What is lost of a value of this type that the target does not have, if it is to be left out.
    pub(crate) fn left_out(&self, kind: &TypeName) -> Option<Loss> {
        let kind = kind.known().unwrap_or(ValueKind::Module(None));
        let loss = Loss::of(kind)?;
        let has_place = loss == Loss::Json && (self.has_json || self.policies.json_as_string());
        (!has_place && self.is_dropped(loss)).then_some(loss)
    }

    /// Whether a document is kept as its text, and the target has a value of that type.
    pub(crate) fn json_is_text(&self, target_kind: &TypeName) -> bool {
        !self.has_json && self.policies.json_as_string() && target_kind.is(ValueKind::String)
    }

    /// Whether the tool notes expiries of members and fields beside the key.
    pub(crate) fn notes_due_times(&self) -> bool {
        self.policies.emulates_member_ttl()
    }

    /// The verdict if all that differs is what the target cannot hold.
    pub(crate) fn verdict(&self, kind: &TypeName, what: &[What]) -> Option<Verdict> {
        let is_expiries = |what: &What| matches!(what, What::FieldExpiries { .. });
        // No Redis and no Valkey expires members of sets.
        let is_held = self.has_field_ttl && !kind.is(ValueKind::Set);
        let is_lost = what.iter().all(is_expiries) && !is_held && !self.notes_due_times();
        (is_lost && self.is_dropped(Loss::MemberTtl)).then_some(Verdict::LeftOut(Loss::MemberTtl))
    }
}

impl FromStr for Policy {
    type Err = String;

    /// The policies that the text names, for a target without any ability.
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { policies: text.parse()?, has_json: false, has_field_ttl: false })
    }
}
