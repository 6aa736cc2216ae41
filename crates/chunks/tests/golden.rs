//! The stored formats of this crate, held byte by byte: a change here is a change of every repository that there is.
//! What is compressed is not held, because the compressor may change; so the content is noise.

use bytes::Bytes;
use drumlin_chunks::{Bucket, ChunkStore, PackIds, Segments};
use drumlin_model::{FileId, Location, PackId};

use crate::support::{file, keys, noise, store};

/// Ids of packs that count up from here.
const FIRST: [u8; 32] = [0x11; 32];

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn pack_of(contents: &[Bytes], segments: Segments) -> (Bucket, Bytes, Vec<Location>) {
    let bucket = Bucket::memory();
    let writer = store(&bucket).writer_with(PackIds::given(FIRST), segments);
    let mut places = Vec::new();
    for content in contents {
        places.push(writer.add_bytes(content.clone()).await.unwrap().2);
    }
    writer.flush().await.unwrap();
    let key = format!("packs/{}", PackId::from_bytes(FIRST));
    assert_eq!(keys(&bucket, "packs").await, std::slice::from_ref(&key));
    let pack = bucket.get(&key).await.unwrap();
    (bucket, pack, places)
}

fn record<'a>(pack: &'a Bytes, at: &Location) -> &'a [u8] {
    match *at {
        Location::Chunk { offset, stored, .. } | Location::Recipe { offset, stored, .. } => {
            &pack[offset as usize..offset as usize + stored as usize]
        }
        _ => panic!("{at:?}"),
    }
}

#[tokio::test]
async fn a_pack_of_small_content() {
    let (_, pack, places) = pack_of(&[Bytes::from("abc"), noise(1, 100)], Segments::default()).await;
    assert_eq!(hex(record(&pack, &places[0])), "00616263");
    assert_eq!(&pack[..8], b"DRUMPACK");
    assert_eq!(pack.len(), 8 + 4 + 101 + 2 * 45 + 48);
    assert_eq!(
        hex(&pack[113..]),
        concat!(
            "4b75a8842dc16ded120ee1f96d229ac409028f4d5d429499a4ad548aae854310",
            "000c0000006500000064000000",
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
            "00080000000400000003000000",
            "0200000001000000",
            "cb3c7efcfa21677e2b86afb7470e1aa835f45c75b3679123c8865a0f05ab6190",
            "4452554d464f4f54"
        )
    );
}

/// Three chunks, so a recipe with the only segment in it.
#[tokio::test]
async fn a_recipe() {
    let content = noise(7, 200_000);
    let (_, pack, places) = pack_of(std::slice::from_ref(&content), Segments::default()).await;
    let recipe = record(&pack, &places[0]);
    assert_eq!(recipe.len(), 43 + 4 + 32 + 8 + 4 * 48 + 4 * 32 + 32);
    assert_eq!(hex(&recipe[..2]), "0201");
    assert_eq!(recipe[2..34], *FileId::of(&content).as_bytes());
    assert_eq!(hex(&recipe[34..43]), "400d0300000000001c");
    assert_eq!([hash(recipe), hash(&pack)], ["39caba426bccbaa0", "d357295607be3d39"]);
}

/// Two segments, a record each, and a recipe that names them. A chunk is in both.
#[tokio::test]
async fn segments() {
    let content = noise(7, 200_000);
    let segments = Segments {
        len: 128 << 10,
        count_max: 2,
    };
    let (bucket, pack, places) = pack_of(std::slice::from_ref(&content), segments).await;
    let recipe = record(&pack, &places[0]);
    assert_eq!(recipe.len(), 43 + 4 + 32 + 2 * 76 + 32);
    assert_eq!(hex(&recipe[34..47]), "400d0300000000001101000000");
    let row = &recipe[79..79 + 76];
    let number = |at: usize| u32::from_le_bytes(row[at..at + 4].try_into().unwrap()) as usize;
    let segment = &pack[number(68)..number(68) + number(72)];
    assert_eq!(hex(&segment[..2]), "0301");
    assert_eq!(row[32..64], blake3::derive_key("drumlin segment 1", segment));
    assert_eq!(
        [hash(recipe), hash(segment), hash(&pack)],
        ["f4e1fe57c1344000", "3f498caf3e537fba", "d8ea1fdfd4a1818f"]
    );
    let file = file(FileId::of(&content), content.len() as u64);
    assert_eq!(store(&bucket).read(&file, &places[0]).await.unwrap(), content);
}

#[tokio::test]
async fn an_outboard() {
    let bucket = Bucket::memory();
    let content = noise(7, 200_000);
    let writer = store(&bucket).writer_with(PackIds::given(FIRST), Segments::default());
    writer.add_blob(content).await.unwrap();
    let [key] = &keys(&bucket, "outboards").await[..] else {
        panic!("one outboard")
    };
    let outboard = bucket.get(key).await.unwrap();
    assert_eq!(outboard.len(), 12 + 4 * 32);
    assert_eq!(hex(&outboard[..12]), hex(b"DRUMOUTB\x01\0\0\0"));
    assert_eq!(hash(&outboard), "95b1fbb83a317ac1");
}

/// The tables of 65 packs in one object.
#[tokio::test]
async fn an_index_object() {
    let bucket = Bucket::memory();
    let chunks: ChunkStore = store(&bucket);
    let writer = chunks.writer_with(PackIds::given(FIRST), Segments::default());
    for number in 0..65 {
        writer.add_bytes(noise(number, 40)).await.unwrap();
        writer.flush().await.unwrap();
    }
    let [key] = &keys(&bucket, "index").await[..] else {
        panic!("one object")
    };
    let object = bucket.get(key).await.unwrap();
    assert_eq!(object.len(), 24 + 65 * 32 + 65 * 49 + 32);
    assert_eq!(
        hex(&object[..24]),
        hex(b"DRUMINDX\x01\0\0\0\x41\0\0\0\x41\0\0\0\0\0\0\0")
    );
    assert_eq!(
        key,
        "index/8640afb8c45226a6b720f2df9139521fd67e8893e0ef82d19afd45e1f3a9c4d2"
    );
}
