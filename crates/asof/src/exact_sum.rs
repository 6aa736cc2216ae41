//! Sums of floats that do not depend on the order of adding: kept exactly, rounded once.
//! `window` needs it, since threads, files and memory limits change the order and must not change the answer.
//! Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997; the rounding is that of Python's `math.fsum`.

/// An exact sum. Sums beyond the range of a float become infinite; then, and only then, the order can matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExactSum {
    /// Parts that do not overlap, the smallest first; together they are the sum.
    parts: Vec<f64>,
    /// The sum of what is not finite.
    special: f64,
}

impl ExactSum {
    pub(crate) fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.special += value;
            return;
        }
        let mut carried = value;
        let mut kept = 0;
        for position in 0..self.parts.len() {
            let (high, low) = two_sum(carried, self.parts[position]);
            if low != 0.0 {
                self.parts[kept] = low;
                kept += 1;
            }
            carried = high;
        }
        self.parts.truncate(kept);
        if carried.is_finite() {
            self.parts.push(carried);
        } else {
            self.parts.clear();
            self.special += carried;
        }
    }

    pub(crate) fn merge(&mut self, other: &ExactSum) {
        self.special += other.special;
        other.parts.iter().for_each(|part| self.add(*part));
    }

    /// The float nearest to the sum, ties to even.
    pub(crate) fn rounded(&self) -> f64 {
        if self.special != 0.0 {
            return self.special;
        }
        let mut rest = self.parts.as_slice();
        let (mut high, mut low) = (0.0, 0.0);
        while let Some((last, before)) = rest.split_last() {
            (high, low) = two_sum(high, *last);
            rest = before;
            if low != 0.0 {
                break;
            }
        }
        let same_side = rest
            .last()
            .is_some_and(|next| (low < 0.0 && *next < 0.0) || (low > 0.0 && *next > 0.0));
        let doubled = low * 2.0;
        let moved = high + doubled;
        if same_side && moved - high == doubled {
            moved
        } else {
            high
        }
    }
}

/// The rounded sum and what rounding lost, exactly (D. E. Knuth's two-sum).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let a_part = sum - b_part;
    (sum, (a - a_part) + (b - b_part))
}
