//! How much of the machine was left: timing on a busy one proves little.

/// Processor time since the machine started, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ticks {
    total: u64,
    idle: u64,
    stolen: u64,
}

impl Ticks {
    /// As of now; zero where the system does not tell.
    pub fn now() -> Self {
        std::fs::read_to_string("/proc/stat").ok().and_then(|text| Self::parse(&text)).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find(|line| line.starts_with("cpu "))?;
        let fields: Vec<u64> =
            line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; what follows is counted in user already.
        let at = |place: usize| fields.get(place).copied().unwrap_or(0);
        Some(Self { total: fields.iter().take(8).sum(), idle: at(3) + at(4), stolen: at(7) })
    }

    /// What was left of the time since `before`, in percent: idle, and taken by the host.
    pub fn since(self, before: Self) -> Option<(u64, u64)> {
        let total = self.total.checked_sub(before.total)?;
        let share = |part: u64| (part * 100).checked_div(total);
        Some((
            share(self.idle.saturating_sub(before.idle))?,
            share(self.stolen.saturating_sub(before.stolen))?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_time_in_between() {
        let before = Ticks::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3").unwrap();
        let after = Ticks::parse("cpu  130 0 60 830 60 0 0 20 0 0\n").unwrap();
        assert_eq!(after.since(before), Some((40, 20)));
        assert_eq!(before.since(before), None);
    }
}
