/// Counts of values in buckets of equal width between two limits, both of which belong to it.
#[derive(Debug, Clone)]
pub struct Histogram {
    low: f64,
    high: f64,
    counts: Vec<u64>,
    outside: u64,
}

impl Histogram {
    /// # Panics
    ///
    /// Where there are no buckets, or the limits are not in order.
    pub fn new(low: f64, high: f64, num_buckets: usize) -> Self {
        assert!(num_buckets > 0, "a histogram needs a bucket");
        assert!(low < high, "the limits are not in order");
        Self { low, high, counts: vec![0; num_buckets], outside: 0 }
    }

    /// Counts a value in its bucket; one beyond the limits is counted as outside.
    pub fn add(&mut self, value: f64) {
        match self.bucket(value) {
            Some(index) => self.counts[index] += 1,
            None => self.outside += 1,
        }
    }

    /// How many values are in each bucket.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many values were beyond the limits.
    pub fn outside(&self) -> u64 {
        self.outside
    }

    /// Where a bucket begins and ends.
    pub fn limits(&self, index: usize) -> (f64, f64) {
        let begin = self.low + self.width() * index as f64;
        (begin, begin + self.width())
    }

    fn width(&self) -> f64 {
        (self.high - self.low) / self.counts.len() as f64
    }

    fn bucket(&self, value: f64) -> Option<usize> {
        if value.is_nan() || value < self.low || value > self.high {
            return None;
        }
        let index = ((value - self.low) / self.width()) as usize;
        Some(index)
    }
}
