//! What `diff` says of tables: rows by key, rows without one, columns, and tables that come or go.

use serde_json::{Value, json};

use crate::support::Place;

fn table(place: &Place, from: &str, to: &str) -> Value {
    let diff = place.json(&["diff", from, to]);
    let tables = diff["tables"].as_array().expect("a list").clone();
    assert_eq!(tables.len(), 1, "{diff}");
    tables[0].clone()
}

#[test]
fn rows_by_key() {
    let place = Place::repository();
    place.write("rows.csv", "id,city,mm\n1,oslo,1\n2,bergen,9\n3,voss,4\n");
    place.ok(&["table", "create", "rain", "--from", "rows.csv", "--key", "id"]);
    place.ok(&["tag", "create", "v1"]);
    place.write("more.csv", "id,city,mm\n2,bergen,8\n4,moss,\n");
    place.ok(&["table", "upsert", "rain", "--from", "more.csv"]);
    place.ok(&["table", "delete", "rain", "--where", "id = 3"]);
    let rain = table(&place, "v1", "main");
    assert_eq!(
        [&rain["added"], &rain["removed"], &rain["changed"]],
        [&json!(1), &json!(1), &json!(1)]
    );
    assert_eq!(rain["sample"], json!(["~ id=2: mm 9 → 8"]));
    let back = table(&place, "main", "v1");
    assert_eq!(
        [&back["added"], &back["removed"], &back["changed"]],
        [&json!(1), &json!(1), &json!(1)]
    );
}

#[test]
fn rows_without_a_key_and_columns() {
    let place = Place::repository();
    place.write("rows.csv", "city,mm\noslo,1\noslo,1\nbergen,9\n");
    place.ok(&["table", "create", "rain", "--from", "rows.csv"]);
    place.ok(&["tag", "create", "v1"]);
    place.write("fewer.csv", "city,mm,wind\noslo,1,2.5\nbergen,8,0.5\n");
    place.ok(&["table", "overwrite", "rain", "--from", "fewer.csv"]);
    let rain = table(&place, "v1", "main");
    assert_eq!(
        [&rain["added"], &rain["removed"], &rain["changed"]],
        [&json!(1), &json!(2), &Value::Null]
    );
    assert_eq!(rain["schema_changes"], json!(["+ wind float64"]));
    place.ok(&["table", "create", "snow", "--from", "rows.csv"]);
    let snow = table(&place, "main~1", "main");
    assert_eq!(
        [&snow["table"], &snow["rows_before"], &snow["added"]],
        [&json!("tables/snow"), &json!(0), &json!(3)]
    );
}
