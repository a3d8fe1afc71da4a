//! Durations: `15m`, `168h`, `7d`, `1h30m`, `500ms`, or plain seconds.

use std::time::Duration;

use super::{Invalid, quoted};
use crate::config::setting::Raw;

/// Longest duration that any setting takes: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Unit names with their milliseconds, largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses one duration; `None` outside the grammar or beyond ten years.
pub fn parse(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let millis = if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse::<u64>().ok()?.checked_mul(1_000)?
    } else {
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
            total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
            rest = after;
        }
        total
    };
    Some(Duration::from_millis(millis)).filter(|duration| *duration <= LONGEST)
}

/// Writes a duration in the form that [`parse`] reads, exact to the millisecond.
pub fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in UNITS {
        if rest >= factor {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A duration from `min` to `max`; a plain number is seconds.
pub(in crate::config) fn between(min: Duration, max: Duration) -> impl Fn(&Raw) -> Result<Duration, Invalid> {
    ranged(min, max, parse, "15m, 168h, 7d or plain seconds")
}

/// A duration from `min` to `max`, for settings whose name ends in `_MS`: a plain number is milliseconds.
pub(in crate::config) fn millis(min: u64, max: u64) -> impl Fn(&Raw) -> Result<Duration, Invalid> {
    let plain_millis = |text: &str| {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse().ok().map(Duration::from_millis)
        } else {
            parse(text)
        }
    };
    ranged(Duration::from_millis(min), Duration::from_millis(max), plain_millis, "plain milliseconds, or 2s")
}

fn ranged(
    min: Duration,
    max: Duration,
    parse: impl Fn(&str) -> Option<Duration>,
    form: &'static str,
) -> impl Fn(&Raw) -> Result<Duration, Invalid> {
    move |raw| {
        let text = raw.text()?;
        let Some(duration) = parse(text) else {
            return Err(Invalid::new(format!("{} is not a duration", quoted(text)), format!("write {form}")));
        };
        if (min..=max).contains(&duration) {
            return Ok(duration);
        }
        Err(Invalid::new(
            format!("{} is out of range", quoted(text)),
            format!("write a duration from {} to {}", show(min), show(max)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_the_specification() {
        for (text, seconds) in
            [("15m", 900), ("168h", 604_800), ("7d", 604_800), ("60", 60), ("1h30m", 5_400), ("0", 0)]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("1m500ms"), Some(Duration::from_millis(60_500)));
        for bad in ["", "m", "-1", "1.5h", "1 h", "5x", "1h5", "99999999999999999999", "1e9h", "4000d", "٣s"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn millisecond_settings_take_plain_milliseconds() {
        let parse = millis(10, 5_000);
        assert_eq!(parse(&Raw::Text("150".into())), Ok(Duration::from_millis(150)));
        assert_eq!(parse(&Raw::Text("2s".into())), Ok(Duration::from_secs(2)));
        let refused = parse(&Raw::Text("9".into())).unwrap_err();
        assert_eq!(refused.remedy, "write a duration from 10ms to 5s");
    }

    proptest! {
        #[test]
        fn what_show_writes_parse_reads(ms in 0..=u64::try_from(LONGEST.as_millis()).unwrap()) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse(&show(duration)), Some(duration));
        }

        #[test]
        fn plain_numbers_are_seconds(seconds in 0..=LONGEST.as_secs()) {
            prop_assert_eq!(parse(&seconds.to_string()), Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn any_text_is_read_or_refused_within_the_limit(text in "[0-9a-z. -]{0,24}|\\PC{0,8}") {
            if let Some(duration) = parse(&text) {
                prop_assert!(duration <= LONGEST);
                prop_assert!(text.bytes().all(|b| b.is_ascii_digit() || b"dhms".contains(&b)));
            }
        }
    }
}
