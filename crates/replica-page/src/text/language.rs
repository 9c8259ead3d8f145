//! The languages of the page.

use super::table::{EN, Texts, ZH};

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// Its tag, as HTML has it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// The name that its speakers give it.
    pub(crate) fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    pub(crate) fn texts(self) -> &'static Texts {
        match self {
            Self::English => &EN,
            Self::Chinese => &ZH,
        }
    }

    /// The language that was asked for by its tag, or else the first of the browser's that there is.
    pub fn choose(asked: Option<&str>, accepted: Option<&str>) -> Self {
        let named = |tag: &str| Self::ALL.into_iter().find(|language| tag.starts_with(language.tag()));
        let tags = accepted.unwrap_or_default().split(',').map(str::trim);
        asked.and_then(named).or_else(|| tags.filter_map(named).next()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browsers_language_unless_another_is_asked_for() {
        for (asked, accepted, expected) in [
            (None, None, Language::English),
            (None, Some("de-DE,de;q=0.9"), Language::English),
            (None, Some("fr, zh-CN;q=0.8, en;q=0.5"), Language::Chinese),
            (Some("en"), Some("zh-CN"), Language::English),
            (Some("xx"), Some("zh-CN"), Language::Chinese),
        ] {
            assert_eq!(Language::choose(asked, accepted), expected, "{asked:?} {accepted:?}");
        }
    }
}
