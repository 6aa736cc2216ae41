//! Windows over floats that lose everything when they are added one by one: sums are exact, then rounded once.

use std::sync::Arc;

use arrow::{
    array::{AsArray, Float64Array, Int64Array, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type, TimeUnit},
};
use drumlin_asof::{AsOfSpec, FeatureSource, Lookup, Window, WindowFunction};

use crate::kit::{self, length};

/// The sum of all values, whatever their order, as one window over all of them.
async fn sum(values: Vec<f64>) -> f64 {
    let rows = values.len() as i64;
    let times = |times: Int64Array| {
        cast(&times, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).expect("times")
    };
    let view = RecordBatch::try_from_iter([
        ("at", times((0..rows).collect())),
        ("x", Arc::new(Float64Array::from(values)) as _),
    ])
    .expect("a batch");
    // Slots in between, so that the total of the last one is put together from many parts.
    let spine = RecordBatch::try_from_iter([("t", times((0..=rows).collect()))]).expect("a batch");
    let context = kit::context(None);
    let query = kit::scan(&context, &view.schema(), vec![view]);
    let mut lookup = Lookup::new("view", "at", FeatureSource::Query(Box::new(query)));
    let window = |name: &str, function| Window {
        name: name.to_owned(),
        function,
        column: Some("x".to_owned()),
        length: length(1_000_000),
        inclusive: false,
        label: false,
        description: None,
    };
    lookup.windows = vec![window("sum", WindowFunction::Sum)];
    let mut spec = AsOfSpec::new("t");
    spec.lookups = vec![lookup];
    let plan = kit::scan(&context, &spine.schema(), vec![spine]);
    let (result, _) = kit::run(&context, plan, spec).await.expect("rows");
    result.column(1).as_primitive::<Float64Type>().value(rows as usize)
}

#[tokio::test]
async fn sums_are_exact_and_do_not_depend_on_the_order() {
    // (values, the sum as Python's math.fsum says it)
    let cases: Vec<(Vec<f64>, f64)> = vec![
        (vec![0.1; 10], 1.0),
        (vec![1e16, 1.0, -1e16], 1.0),
        (vec![1e100, 1.0, -1e100, 1e-100], 1.0),
        (vec![2f64.powi(53), -0.5, -(2f64.powi(-54))], 2f64.powi(53) - 1.0),
        (vec![2f64.powi(53), 1.0, 2f64.powi(-100)], 2f64.powi(53) + 2.0),
        (vec![f64::INFINITY, 1.0], f64::INFINITY),
    ];
    for (values, wanted) in cases {
        let mut reversed = values.clone();
        reversed.reverse();
        let mut turned = values.clone();
        turned.rotate_left(1);
        for order in [values, reversed, turned] {
            assert_eq!(sum(order.clone()).await, wanted, "{order:?}");
        }
    }
    assert!(sum(vec![f64::INFINITY, f64::NEG_INFINITY]).await.is_nan());
    assert!(sum(vec![f64::NAN, 1.0]).await.is_nan());
}
