//! Feature types and Arrow's: the one place where they meet. Invariant: `of_arrow(&to_arrow(kind))` is `kind`.

use arrow::datatypes::{DataType, TimeUnit};
use drumlin_model::feature::FeatureType;

/// The Arrow type that a column of this type has once it is read as declared.
pub fn to_arrow(kind: FeatureType) -> DataType {
    match kind {
        FeatureType::String => DataType::Utf8,
        FeatureType::Bool => DataType::Boolean,
        FeatureType::Int8 => DataType::Int8,
        FeatureType::Int16 => DataType::Int16,
        FeatureType::Int32 => DataType::Int32,
        FeatureType::Int64 => DataType::Int64,
        FeatureType::Uint8 => DataType::UInt8,
        FeatureType::Uint16 => DataType::UInt16,
        FeatureType::Uint32 => DataType::UInt32,
        FeatureType::Uint64 => DataType::UInt64,
        FeatureType::Float32 => DataType::Float32,
        FeatureType::Float64 => DataType::Float64,
        FeatureType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        FeatureType::Date => DataType::Date32,
        FeatureType::Binary => DataType::Binary,
    }
}

/// The type that a column of `arrow` has, whatever its physical layout; none for what features cannot be.
pub fn of_arrow(arrow: &DataType) -> Option<FeatureType> {
    Some(match arrow {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => FeatureType::String,
        DataType::Boolean => FeatureType::Bool,
        DataType::Int8 => FeatureType::Int8,
        DataType::Int16 => FeatureType::Int16,
        DataType::Int32 => FeatureType::Int32,
        DataType::Int64 => FeatureType::Int64,
        DataType::UInt8 => FeatureType::Uint8,
        DataType::UInt16 => FeatureType::Uint16,
        DataType::UInt32 => FeatureType::Uint32,
        DataType::UInt64 => FeatureType::Uint64,
        DataType::Float32 => FeatureType::Float32,
        DataType::Float64 => FeatureType::Float64,
        DataType::Timestamp(..) => FeatureType::Timestamp,
        DataType::Date32 => FeatureType::Date,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => FeatureType::Binary,
        DataType::Dictionary(_, values) => return of_arrow(values),
        _ => return None,
    })
}
