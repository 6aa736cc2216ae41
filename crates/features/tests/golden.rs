//! What is stored of definitions and training sets, written out: a change of one of these is a change of what people have.
//! The formats are in `docs/design/001-stored-formats.md`.

use drumlin_features::{Registry, TrainingSet, definition::Kind, training::SpineSource};
use drumlin_model::ErrorKind;
use parquet::{
    basic::Compression,
    file::reader::{FileReader, SerializedFileReader},
};

use crate::support::{Fixture, files};

/// A record in which every field stands.
const RECORD: &str = r#"{
  "format": 1,
  "name": "delays",
  "id": "ID",
  "commit": "0101010101010101010101010101010101010101010101010101010101010101",
  "spine": {
    "sql": "SELECT * FROM flights",
    "commit": "0202020202020202020202020202020202020202020202020202020202020202"
  },
  "service": "delay",
  "views": [
    {
      "view": "weather",
      "as": "from",
      "features": [
        "temp"
      ],
      "keys": {
        "origin": "dest"
      },
      "hash": "0303030303030303030303030303030303030303030303030303030303030303",
      "definition": {
        "name": "weather",
        "entities": [
          "airport"
        ],
        "keys": {
          "origin": "faa"
        },
        "source": {
          "table": "weather"
        },
        "event_time": "at",
        "created_time": "seen",
        "tombstone": "gone",
        "valid_to": "until",
        "max_age": "3h",
        "inclusive": true,
        "nulls": "last_non_null",
        "features": [
          {
            "name": "temp",
            "data_type": "float64",
            "description": "degrees"
          }
        ],
        "windows": [
          {
            "name": "rain_day",
            "function": "sum",
            "column": "rain",
            "length": "1d",
            "inclusive": false,
            "label": false,
            "description": "a day of rain"
          }
        ],
        "online": true,
        "description": "the weather",
        "owner": "ann",
        "tags": {
          "team": "delays"
        }
      }
    }
  ],
  "options": {
    "time": "sched",
    "known_at": {
      "time": 1704067200000001
    },
    "on_null_time": "keep",
    "with_status": true,
    "with_event_time": false
  },
  "rows": 3,
  "content": "CONTENT",
  "parts": [
    {
      "file": "part-00000.parquet",
      "rows": 3,
      "bytes": 1000,
      "hash": "0404040404040404040404040404040404040404040404040404040404040404"
    }
  ],
  "schema": [
    {
      "name": "flight",
      "data_type": "Int64",
      "nulls": 0
    }
  ],
  "spine_columns": 1,
  "counts": {
    "views": {
      "from": {
        "statuses": {
          "PRESENT": 3
        },
        "null_event_times": 2
      }
    }
  }
}
"#;
/// What the record's id is the hash of.
const IDENTITY: &str = "drumlin training set 1\n{\"commit\":\"0101010101010101010101010101010101010101010101010101010101010101\",\
\"spine\":{\"sql\":\"SELECT * FROM flights\",\"commit\":\"0202020202020202020202020202020202020202020202020202020202020202\"},\
\"views\":[[{\"view\":\"weather\",\"as\":\"from\",\"features\":[\"temp\"],\"keys\":{\"origin\":\"dest\"}},\
\"0303030303030303030303030303030303030303030303030303030303030303\"]],\
\"options\":{\"time\":\"sched\",\"known_at\":{\"time\":1704067200000001},\"on_null_time\":\"keep\",\"with_status\":true,\
\"with_event_time\":false}}";

const DEFINITIONS: &str = "\
kind: entity
name: airport
description: where planes land
keys: [{name: origin, type: string}]
---
kind: feature_view
name: weather
entity: airport
keys: {origin: faa}
source: {sql: \" SELECT * FROM readings ; \"}
event_time: at
created_time: seen
valid_to: until
max_age: 180m
inclusive: false
nulls: last_non_null
features:
  - {name: temp, type: float64, description: degrees}
windows:
  - {name: rain_day, function: sum, column: rain, length: 24h, inclusive: true, description: a day of rain}
online: true
owner: ann
tags: {team: delays}
---
kind: feature_service
name: delay
views:
  - {view: weather, as: from, features: [temp], keys: {origin: dest}}
";
/// What the definitions' hashes are the hashes of, after the line that says the format.
const MEANINGS: [(Kind, &str, &str); 3] = [
    (
        Kind::Entity,
        "airport",
        r#"{"kind":"entity","name":"airport","keys":[{"name":"origin","data_type":"string"}]}"#,
    ),
    (
        Kind::FeatureView,
        "weather",
        r#"{"kind":"feature_view","name":"weather","entities":["airport"],"keys":{"origin":"faa"},"source":{"sql":"SELECT * FROM readings"},"event_time":"at","created_time":"seen","valid_to":"until","max_age":"3h","inclusive":false,"nulls":"last_non_null","features":[{"name":"temp","data_type":"float64"}],"windows":[{"name":"rain_day","function":"sum","column":"rain","length":"1d","inclusive":true,"label":false}],"online":false}"#,
    ),
    (
        Kind::FeatureService,
        "delay",
        r#"{"kind":"feature_service","name":"delay","views":[{"view":"weather","as":"from","features":["temp"],"keys":{"origin":"dest"}}]}"#,
    ),
];

fn blake3_hex(bytes: impl AsRef<[u8]>) -> String {
    blake3::hash(bytes.as_ref()).to_hex().to_string()
}

#[test]
fn a_record_is_these_bytes() {
    let id = blake3_hex(IDENTITY);
    let part = "04".repeat(32);
    let content = blake3_hex([part.as_bytes(), &3_u64.to_le_bytes()].concat());
    let text = RECORD.replace("ID", &id).replace("CONTENT", &content);
    let set = TrainingSet::parse("delays", text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(set.to_json()).unwrap(), text);
    assert_eq!((set.expected_id(), set.expected_content()), (id, content));
    for word in ["none", "row"] {
        let text = text.replace("{\n      \"time\": 1704067200000001\n    }", &format!("{word:?}"));
        let set = TrainingSet::parse("delays", text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(set.to_json()).unwrap(), text);
    }
}

#[test]
fn a_record_of_a_newer_format_is_no_damage_and_a_field_that_is_not_known_is_passed_over() {
    let newer = TrainingSet::parse("delays", br#"{"format": 2, "rows": "as text"}"#).unwrap_err();
    assert_eq!(newer.kind(), ErrorKind::Unsupported, "{newer}");
    let more = RECORD.replace("  \"rows\": 3,", "  \"rows\": 3,\n  \"unknown\": {},");
    assert_eq!(TrainingSet::parse("delays", more.as_bytes()).unwrap().rows, 3);
}

#[test]
fn a_definition_means_these_bytes() {
    let registry = Registry::from_files(&files(DEFINITIONS)).unwrap();
    for (kind, name, meaning) in MEANINGS {
        let definition = &registry.get(kind, name).unwrap().definition;
        let wanted = blake3_hex(format!("drumlin definition 1\n{meaning}"));
        assert_eq!(
            definition.hash(),
            wanted,
            "{name}: {}",
            serde_json::to_string(definition).unwrap()
        );
    }
}

#[tokio::test]
async fn a_part_is_the_same_bytes_everywhere() {
    let fixture = Fixture::flights().await;
    let set = fixture.train_as_is("main", "set").await;
    assert_eq!(
        (set.expected_id(), set.expected_content()),
        (set.id.clone(), set.content.clone())
    );
    let hashes = |kind, name: &str| fixture_hash(crate::support::DEFINITIONS, kind, name);
    let view = hashes(Kind::FeatureView, "weather_hourly") + &hashes(Kind::Entity, "airport");
    assert_eq!(set.views[0].hash, blake3_hex(view));
    let at = fixture.snapshot("main").await;
    let part = at
        .read(&drumlin_testkit::path("training/set/part-00000.parquet"))
        .await
        .unwrap();
    assert_eq!(set.parts[0].hash, blake3_hex(&part));
    assert_eq!(
        set.content,
        "9849251e4efc6be0a65867796986510065573af2fd65bda0dbe246d89e6607b4"
    );
    let stored = at.read(&drumlin_testkit::path("training/set/set.json")).await.unwrap();
    assert_eq!(stored, set.to_json());
}

fn fixture_hash(definitions: &str, kind: Kind, name: &str) -> String {
    let registry = Registry::from_files(&files(definitions)).unwrap();
    registry.get(kind, name).unwrap().definition.hash()
}

#[tokio::test]
async fn a_part_says_what_wrote_it_in_groups_of_one_size() {
    let fixture = Fixture::flights().await;
    let rows: String = (0..70_000)
        .map(|row| format!("{row},EWR,2013-01-01T06:30:00Z\n"))
        .collect();
    fixture.table("events", &format!("event,origin,sched\n{rows}")).await;
    let mut create = fixture.request_set("main", "set").await;
    create.spine = SpineSource::Table("events".into());
    fixture.train("main", create).await.unwrap();
    let at = fixture.snapshot("main").await;
    let part = at
        .read(&drumlin_testkit::path("training/set/part-00000.parquet"))
        .await
        .unwrap();
    let reader = SerializedFileReader::new(part).unwrap();
    let metadata = reader.metadata();
    assert_eq!(metadata.file_metadata().version(), 1);
    assert_eq!(metadata.file_metadata().created_by(), Some("drumlin training set 1"));
    let groups = metadata.row_groups();
    assert_eq!(
        groups.iter().map(|group| group.num_rows()).collect::<Vec<_>>(),
        [65_536, 4_464]
    );
    let mut columns = groups.iter().flat_map(|group| group.columns());
    assert!(columns.all(|column| matches!(column.compression(), Compression::ZSTD(_))));
}
