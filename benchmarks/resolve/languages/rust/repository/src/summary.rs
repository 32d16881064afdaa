/// Number, mean and extremes of values that come one by one.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    count: u64,
    mean: f64,
    extremes: Option<(f64, f64)>,
}

impl Summary {
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.mean += (value - self.mean) / self.count as f64;
        self.extremes = Some(match self.extremes {
            None => (value, value),
            Some((least, most)) => (least.min(value), most.max(value)),
        });
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// None where there was no value.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// The least and the most, None where there was no value.
    pub fn extremes(&self) -> Option<(f64, f64)> {
        self.extremes
    }
}
