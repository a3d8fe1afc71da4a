//! W3C Trace Context: the `traceparent` of the caller, so that our log lines join its trace.

use std::fmt;

/// The trace and the caller's span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// 16 bytes, not all zero.
    pub trace_id: u128,
    /// 8 bytes, not all zero.
    pub parent_id: u64,
    /// Whether the caller records this trace.
    pub sampled: bool,
}

impl TraceContext {
    /// Parses `version-traceid-parentid-flags` (W3C Trace Context §3.2); what does not fit is ignored, as
    /// the recommendation asks.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let (version, trace, parent, flags) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let version = hex(version, 2)?;
        // Version ff is forbidden; version 00 ends here, later ones may go on.
        if version == 0xff || (version == 0 && fields.next().is_some()) {
            return None;
        }
        let trace_id = hex(trace, 32)?;
        let parent_id = u64::try_from(hex(parent, 16)?).ok()?;
        let sampled = hex(flags, 2)? & 1 == 1;
        (trace_id != 0 && parent_id != 0).then_some(Self { trace_id, parent_id, sampled })
    }
}

impl fmt::Display for TraceContext {
    /// The trace id as logs show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.trace_id)
    }
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (text.len() == digits && lower).then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_well_formed_parent_is_read() {
        let context = TraceContext::parse(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!(context.to_string(), TRACE);
        assert!(context.sampled);
        assert!(!TraceContext::parse(&format!("00-{TRACE}-00f067aa0ba902b7-02")).unwrap().sampled);
        assert!(TraceContext::parse(&format!("01-{TRACE}-00f067aa0ba902b7-01-more")).is_some());
    }

    #[test]
    fn a_malformed_parent_is_ignored() {
        let zero = "0".repeat(32);
        for bad in [
            "",
            "00",
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{zero}-00f067aa0ba902b7-01"),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            &format!("00-{TRACE}-00f067aa0ba902b7-01-x"),
            &format!("00-{TRACE}-00f067aa0ba902b7-"),
            &format!("00-+{}-00f067aa0ba902b7-01", &TRACE[1..]),
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
