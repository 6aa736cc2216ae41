//! Differences between versions: paths narrow definitions too, and definitions that cannot be read are spoken of.

use drumlin_verbs::{DiffRequest, FsckRequest, TagCreateRequest};

use crate::support::Place;

const ENTITY: &str = "kind: entity\nname: city\nkeys: [{name: city, type: string}]\n";

fn versions(from: &str, to: &str, path: Option<&str>) -> DiffRequest {
    DiffRequest {
        refs: vec![from.parse().expect("a ref"), to.parse().expect("a ref")],
        path: path.map(|path| path.parse().expect("a path")),
        ..DiffRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_narrows_definitions_too() {
    let place = Place::new().await;
    place.write("raw/a.txt", "a");
    place.commit("one").await;
    place.write("features/city.yaml", ENTITY);
    place.write("raw/a.txt", "b");
    place.commit("two").await;
    let whole = place
        .desk
        .diff(versions("main~1", "main", None))
        .await
        .expect("compared");
    assert_eq!((whole.files.len(), whole.definitions.len()), (2, 1));
    let narrow = place
        .desk
        .diff(versions("main~1", "main", Some("raw")))
        .await
        .expect("compared");
    assert_eq!((narrow.files.len(), narrow.definitions.len()), (1, 0));
    let narrow = place
        .desk
        .diff(versions("main~1", "main", Some("features/city.yaml")))
        .await
        .expect("compared");
    assert_eq!((narrow.files.len(), narrow.definitions.len()), (1, 1));
    assert_eq!(narrow.notes, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_were_broken_by_hand_are_spoken_of_and_damage_is_an_error() {
    let place = Place::new().await;
    place.write("features/city.yaml", ENTITY);
    place.commit("one").await;
    let name = "v1".parse().expect("a name");
    place
        .desk
        .tag_create(TagCreateRequest { name, at: None })
        .await
        .expect("a tag");
    place.write("features/city.yaml", "kind: nonsense\n");
    place.commit("broken").await;
    let diff = place.desk.diff(versions("v1", "main", None)).await.expect("compared");
    assert_eq!(diff.definitions.len(), 0, "nothing is said of what could not be read");
    assert_eq!(diff.notes.len(), 1);
    assert!(diff.notes[0].contains("features/city.yaml"), "{}", diff.notes[0]);

    for pack in ["packs", "blobs"] {
        let _ = std::fs::remove_dir_all(place.path().join(".drumlin/repo").join(pack));
    }
    place
        .desk
        .diff(versions("v1", "main", None))
        .await
        .expect_err("the content is nowhere");
    let report = place.desk.fsck(FsckRequest {}).await.expect("the check is made");
    report.verdict().expect_err("damage was found");
}
