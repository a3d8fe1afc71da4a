//! The language of a page: what `ui_locales` asks for, else what the browser prefers, else English.

use axum::http::{HeaderMap, header};

/// A language that pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Spanish,
}

impl Language {
    /// The best one for a request. `ui_locales` is a list in order of preference, divided by spaces (OpenID Connect Core).
    pub(super) fn of(ui_locales: Option<&str>, headers: &HeaderMap) -> Self {
        let asked = ui_locales.and_then(|tags| tags.split_ascii_whitespace().find_map(Self::parse));
        asked.or_else(|| Self::accepted(headers)).unwrap_or(Self::English)
    }

    /// The tag for `lang`.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    fn parse(tag: &str) -> Option<Self> {
        match tag.split('-').next()?.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "es" => Some(Self::Spanish),
            _ => None,
        }
    }

    /// The one with the greatest weight, and of equal ones the first.
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for item in headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?.split(',') {
            let (tag, weight) = item.split_once(';').unwrap_or((item, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok()).unwrap_or(0.0);
            let Some(language) = Self::parse(tag.trim()) else { continue };
            if weight > best.map_or(0.0, |(so_far, _)| so_far) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_wins_and_then_the_greatest_weight() {
        let mut headers = HeaderMap::new();
        assert_eq!(Language::of(None, &headers), Language::English);
        headers.insert(header::ACCEPT_LANGUAGE, "fr, en;q=0.5, es-AR;q=0.9".parse().unwrap());
        assert_eq!(Language::of(None, &headers), Language::Spanish);
        assert_eq!(Language::of(Some("fr EN-gb es"), &headers), Language::English);
        headers.insert(header::ACCEPT_LANGUAGE, "es;q=0, xx".parse().unwrap());
        assert_eq!(Language::of(Some("fr"), &headers), Language::English);
    }
}
