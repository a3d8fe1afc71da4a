//! Whether two lots of measurements come from the same source, by their ranks: the test of Mann and Whitney.
//!
//! Ranks, because latencies have long tails that a mean would follow. Knows nothing of what is measured.

/// How two lots differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Comparison {
    /// How probable a difference at least as large is where there is none; from both sides.
    pub(crate) p: f64,
    /// By how much the second lot lies above the first: the median of the differences of all pairs (Hodges and Lehmann).
    pub(crate) shift: f64,
    /// How often one of the second lot is above one of the first: 0.5 where nothing tells them apart, 1 where one look does.
    pub(crate) superiority: f64,
}

impl Comparison {
    /// How many looks at either side it takes to see this difference with a p below 0.001 in nine of ten attempts (Noether
    /// 1987); infinite where there is none.
    pub(crate) fn looks(&self) -> f64 {
        // The normal quantiles of 0.9995 and 0.9.
        let seen = (3.2905_f64 + 1.2816).powi(2);
        seen / (6.0 * (self.superiority - 0.5).powi(2))
    }
}

/// Compares two lots; `None` where one of them is empty. The p is that of the normal distribution, with corrections for ties
/// and for steps, which is close from about ten measurements a lot.
pub(crate) fn compare(first: &[f64], second: &[f64]) -> Option<Comparison> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let tagged = |lot: &[f64], of_second: bool| {
        lot.iter().map(move |value| (*value, of_second)).collect::<Vec<_>>().into_iter()
    };
    let mut all: Vec<(f64, bool)> = tagged(first, false).chain(tagged(second, true)).collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    for equal in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let length = equal.len() as f64;
        // All that are equal share the middle of their ranks.
        let rank = before + (length + 1.0) / 2.0;
        ranks += rank * equal.iter().filter(|(_, of_second)| *of_second).count() as f64;
        ties += length.powi(3) - length;
        before += length;
    }
    let above = ranks - m * (m + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    let away = ((above - n * m / 2.0).abs() - 0.5).max(0.0);
    let p =
        if variance > 0.0 { erfc(away / variance.sqrt() / std::f64::consts::SQRT_2).min(1.0) } else { 1.0 };
    let mut differences: Vec<f64> =
        first.iter().flat_map(|one| second.iter().map(move |other| other - one)).collect();
    Some(Comparison { p, shift: median(&mut differences), superiority: above / (n * m) })
}

/// The value in the middle; zero of nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => (below + above) / 2.0,
        (_, Some(value)) => *value,
        (_, None) => 0.0,
    }
}

/// The complement of the error function from zero up, to 1.2e-7 of its value (Press and others, Numerical Recipes, erfcc).
fn erfc(x: f64) -> f64 {
    const TERMS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + x / 2.0);
    let sum = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    t * (sum - x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64, by: f64) -> bool {
        (value - expected).abs() < by
    }

    #[test]
    fn lots_apart_are_told_apart_and_the_shift_is_theirs() {
        let first: Vec<f64> = (0..20).map(f64::from).collect();
        let second: Vec<f64> = first.iter().map(|value| value + 100.0).collect();
        let compared = compare(&first, &second).unwrap();
        assert!(near(compared.superiority, 1.0, 1e-12) && near(compared.shift, 100.0, 1e-12));
        // U is 400, its mean 200 and its variance 20 * 20 * 41 / 12: z = 199.5 / 36.9685.
        assert!(near(compared.p / 6.796e-8, 1.0, 1e-3), "{compared:?}");
        let turned = compare(&second, &first).unwrap();
        assert!(near(turned.p, compared.p, 1e-15) && near(turned.shift, -100.0, 1e-12));
        assert!(near(turned.superiority, 0.0, 1e-12));
    }

    #[test]
    fn equal_lots_and_lots_of_one_value_are_not_told_apart() {
        let lot: Vec<f64> = (0..200).map(f64::from).collect();
        let compared = compare(&lot, &lot).unwrap();
        assert!(near(compared.p, 1.0, 1e-6) && near(compared.superiority, 0.5, 1e-12), "{compared:?}");
        assert!(compared.looks().is_infinite());
        assert_eq!(compare(&[3.0; 9], &[3.0; 7]).unwrap().p, 1.0);
        assert_eq!(compare(&[], &lot), None);
    }

    /// Ties by hand: ranks of 1, 2, 2, 3 against 2, 3, 4, 4 are 1, 3, 3, 5.5 and 3, 5.5, 7.5, 7.5.
    #[test]
    fn ties_share_their_rank_and_narrow_the_spread() {
        let compared = compare(&[1.0, 2.0, 2.0, 3.0], &[2.0, 3.0, 4.0, 4.0]).unwrap();
        assert!(near(compared.superiority, 13.5 / 16.0, 1e-12), "{compared:?}");
        // The variance is 16 / 12 * (9 - 36 / 56), the step 0.5: z = 5 / 3.3381.
        assert!(near(compared.p, 0.134_17, 1e-4), "{compared:?}");
    }

    #[test]
    fn a_tail_moves_the_shift_less_than_a_mean() {
        let first = [1.0, 1.1, 1.2, 1.3, 1.4];
        let second = [1.0, 1.1, 1.2, 1.3, 900.0];
        assert!(compare(&first, &second).unwrap().shift < 0.2);
    }

    /// Above in six of ten looks takes hundreds of them to be seen, above in all a handful.
    #[test]
    fn a_small_difference_takes_many_looks() {
        let of = |superiority| Comparison { p: 0.0, shift: 0.0, superiority };
        assert!(near(of(0.6).looks(), 348.4, 0.5), "{}", of(0.6).looks());
        assert!(near(of(0.4).looks(), of(0.6).looks(), 1e-6));
        assert!(of(1.0).looks() < 20.0);
    }
}
