//! Why something is left out, in words.

use crate::policy::Loss;

impl Loss {
    /// Why it is left out, in a sentence for people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Json => "the target has no JSON module",
            Self::Bloom => "the target has no Bloom filters",
            Self::Cuckoo => "the target has no Cuckoo filters",
            Self::CountMinSketch => "the target has no count-min sketches",
            Self::TopK => "the target has no Top-K sketches",
            Self::Module => "only the module that has written it can read it",
            Self::Function => "the target has no functions",
            Self::Search => "search indexes are of the source alone",
            Self::Throttle => "the target has no CL.THROTTLE",
            Self::MemberTtl => "the target's members or fields have no expiry; they are kept without",
            Self::Sticky => "the target cannot protect a key from eviction; the key is kept",
            Self::MemcacheFlags => "the target has no flags of memcached clients; the key is kept",
            Self::Truncated => "the source has sent a part of the command only",
            Self::FlushSlots => "the source has removed slots in a form that is not known",
            Self::Form => "the target has no such form of the command",
            Self::Unknown => "the command is not known",
            Self::Malformed => "the record cannot be read",
            Self::Torn => {
                "the command has keys in several slots of the target, or keys that are not selected"
            }
            Self::Unreadable => "the source refuses to return the key",
            Self::Reserved => "names that begin like this are reserved for this tool",
            Self::Refused => "the target refuses the value in every form",
            Self::Pending => "pending entries that are deleted from so large a stream cannot be written",
        }
    }
}
