use crate::Histogram;

/// A histogram as text: a line for each bucket, the longest of `width` marks.
pub fn render(histogram: &Histogram, width: usize) -> String {
    let most = histogram.counts().iter().copied().max().unwrap_or(0).max(1);
    let mut text = String::new();
    for (index, &count) in histogram.counts().iter().enumerate() {
        let (begin, end) = histogram.limits(index);
        let num_marks = (count as f64 / most as f64 * width as f64).round() as usize;
        text += &format!("{begin:>8.2} .. {end:<8.2} {}\n", "#".repeat(num_marks));
    }
    text
}
