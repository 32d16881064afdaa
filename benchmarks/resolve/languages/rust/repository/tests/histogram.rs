use spread::{render, Histogram};

#[test]
fn counts_in_buckets() {
    let mut histogram = Histogram::new(0.0, 10.0, 5);
    for value in [0.5, 1.9, 2.0, 7.0, 9.9] {
        histogram.add(value);
    }
    assert_eq!(histogram.counts(), [2, 1, 0, 1, 1]);
    assert_eq!(histogram.outside(), 0);
}

#[test]
fn both_limits_belong_to_it() {
    let mut histogram = Histogram::new(0.0, 10.0, 5);
    histogram.add(0.0);
    histogram.add(10.0);
    assert_eq!(histogram.counts(), [1, 0, 0, 0, 1]);
    assert_eq!(histogram.outside(), 0);
}

#[test]
fn values_beyond_the_limits_are_outside() {
    let mut histogram = Histogram::new(-1.0, 1.0, 2);
    for value in [-1.5, 1.01, f64::NAN, 0.0] {
        histogram.add(value);
    }
    assert_eq!(histogram.counts(), [0, 1]);
    assert_eq!(histogram.outside(), 3);
}

#[test]
fn is_drawn_to_scale() {
    let mut histogram = Histogram::new(0.0, 2.0, 2);
    for value in [0.5, 0.5, 1.5] {
        histogram.add(value);
    }
    let drawn = render(&histogram, 4);
    let marks: Vec<usize> = drawn.lines().map(|line| line.matches('#').count()).collect();
    assert_eq!(marks, [4, 2]);
}
