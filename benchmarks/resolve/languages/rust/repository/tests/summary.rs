use spread::Summary;

#[test]
fn knows_mean_and_extremes() {
    let mut summary = Summary::default();
    for value in [2.0, 4.0, 9.0] {
        summary.add(value);
    }
    assert_eq!(summary.count(), 3);
    assert!((summary.mean().unwrap() - 5.0).abs() < 1e-12);
    assert_eq!(summary.extremes(), Some((2.0, 9.0)));
}

#[test]
fn knows_nothing_of_nothing() {
    let summary = Summary::default();
    assert_eq!(summary.mean(), None);
    assert_eq!(summary.extremes(), None);
}
