//! The values that definitions, joins and the online store share: their spelling, and which type holds which.

use drumlin_model::{
    feature::{FeatureType, Length, Status, ViewUse},
    names::did_you_mean,
};

#[test]
fn a_type_is_read_as_it_is_written() {
    for kind in FeatureType::ALL {
        assert_eq!(kind.to_string().parse::<FeatureType>().unwrap(), kind);
        let json = serde_json::to_string(&kind).unwrap();
        assert_eq!(json, format!("{:?}", kind.as_str()));
        assert_eq!(serde_json::from_str::<FeatureType>(&json).unwrap(), kind);
        assert!(kind.holds(kind));
    }
    let error = "int".parse::<FeatureType>().unwrap_err();
    assert!(error.cure.contains("int64"), "{error:?}");
}

#[test]
fn a_type_holds_what_loses_nothing_in_it() {
    use FeatureType as T;
    for (wide, narrow) in [
        (T::Int64, T::Uint32),
        (T::Uint16, T::Uint8),
        (T::Float64, T::Int32),
        (T::Float64, T::Float32),
    ] {
        assert!(wide.holds(narrow) && !narrow.holds(wide), "{wide} and {narrow}");
    }
    assert!(!T::Int64.holds(T::Uint64) && !T::Float64.holds(T::Int64) && !T::String.holds(T::Binary));
    let integers = T::ALL.into_iter().filter(|kind| kind.is_integer());
    assert_eq!(integers.count(), 8);
}

#[test]
fn small_values_have_one_spelling() {
    assert_eq!(Length::from_micros(90 * 60 * 1_000_000).unwrap().to_string(), "90m");
    let statuses = Status::ALL.map(Status::as_str);
    assert_eq!(
        statuses,
        ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE", "DELETED"]
    );
    assert_eq!(
        serde_json::to_string(&ViewUse::of("weather")).unwrap(),
        r#"{"view":"weather"}"#
    );
}

#[test]
fn the_closest_name_is_meant_and_a_far_one_is_not() {
    let known = ["temperature", "wind", "origin"];
    assert_eq!(did_you_mean("temprature", known), Some("temperature"));
    assert_eq!(did_you_mean("zzz", known), None);
}
