//! The tenant's colour, made readable: whatever it is, text and ground keep the contrast that WCAG 2.2 §1.4.3 asks for.

/// A colour of sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Color([u8; 3]);

/// Least contrast of text.
const READABLE: f64 = 4.5;
const WHITE: Color = Color([255; 3]);
const INK: Color = Color([12, 26, 48]);
/// The ground of the dark pages' card (`style.css`).
const DARK_CARD: Color = Color([0x18, 0x1e, 0x29]);

impl Color {
    /// `#rrggbb`, and nothing else: a style knows no escaping.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then_some(Self([part(0)?, part(2)?, part(4)?]))
    }

    /// The custom properties of the pages for this colour, light and dark.
    pub(super) fn style(self) -> String {
        let light = self.towards(Self([0; 3]), WHITE);
        let dark = self.towards(WHITE, DARK_CARD);
        let rule = |color: Self| format!("--main:{};--on-main:{}", color.css(), color.text_on().css());
        format!(":root{{{}}}@media(prefers-color-scheme:dark){{:root{{{}}}}}", rule(light), rule(dark))
    }

    /// The colour itself where it is readable on `ground`, else as little nearer to `end` as makes it so.
    fn towards(self, end: Self, ground: Self) -> Self {
        let steps = (0..=20).map(|step| self.mixed(end, f64::from(step) / 20.0));
        steps.into_iter().find(|color| color.contrast(ground) >= READABLE).unwrap_or(end)
    }

    /// White or ink, whichever is more readable.
    fn text_on(self) -> Self {
        if self.contrast(WHITE) >= self.contrast(INK) { WHITE } else { INK }
    }

    fn mixed(self, other: Self, part: f64) -> Self {
        let mut mixed = self.0;
        for (own, other) in mixed.iter_mut().zip(other.0) {
            let value = f64::from(*own).mul_add(1.0 - part, f64::from(other) * part).round();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
            let value = value as u8;
            *own = value;
        }
        Self(mixed)
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let [r, g, b] = self.0.map(linear);
        0.2126f64.mul_add(r, 0.7152f64.mul_add(g, 0.0722 * b))
    }

    fn css(self) -> String {
        let [r, g, b] = self.0;
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_colour_gets_into_a_style() {
        assert_eq!(Color::parse("#1f5FbF"), Some(Color([0x1f, 0x5f, 0xbf])));
        for text in ["", "#", "#fff", "1f5fbf", "#1f5fb", "#1f5fbff", "#1f5fb}", "#+1+1+1", "red", "#1f5fbé"]
        {
            assert_eq!(Color::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_colour_becomes_readable(rgb: [u8; 3]) {
            let color = Color(rgb);
            for (shown, ground) in
                [(color.towards(Color([0; 3]), WHITE), WHITE), (color.towards(WHITE, DARK_CARD), DARK_CARD)]
            {
                prop_assert!(shown.contrast(ground) >= READABLE);
                prop_assert!(shown.text_on().contrast(shown) >= READABLE);
            }
        }
    }

    #[test]
    fn a_readable_colour_stays_as_it_is() {
        assert!(
            Color::parse("#1f5fbf").unwrap().style().starts_with(":root{--main:#1f5fbf;--on-main:#ffffff}")
        );
        assert!(
            Color::parse("#ffee00")
                .unwrap()
                .style()
                .contains("dark){:root{--main:#ffee00;--on-main:#0c1a30}")
        );
    }
}
