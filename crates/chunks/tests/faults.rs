//! Stores that fail: what was acknowledged is there, and nothing else is claimed to be.

use std::time::Duration;

use bytes::Bytes;
use drumlin_chunks::{Bucket, Error};
use drumlin_model::{ErrorKind, File, Location};
use drumlin_testkit::faulty_store::{Faults, Side};
use drumlin_testkit::watched_store::Verb;

use crate::support::{NOW, add, chain, file, noise, store, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_lost_a_pack_accepts_nothing_more() {
    let (faulty, faults) = Faults::store(Bucket::memory().object_store());
    let bucket = Bucket::new(faulty);
    let chunks = store(&bucket);
    let writer = chunks.writer(NOW);
    writer.add_bytes(noise(1, 1000)).await.unwrap();
    faults.fail_once(Side::Before, |request| request.verb == Verb::Put);
    let error = writer.flush().await.unwrap_err();
    assert!(matches!(error, Error::WriterFailed { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(chain(&error).contains("packs/"), "{}", chain(&error));
    writer.add_bytes(noise(2, 1000)).await.unwrap_err();
    writer.add_bytes(noise(1, 1000)).await.unwrap_err();
    writer.flush().await.unwrap_err();
    let (file, at) = add(&chunks, &noise(1, 1000)).await;
    assert_eq!(store(&bucket).read(&file, &at).await.unwrap(), noise(1, 1000));
}

/// Flushes that meet while a pack fails: neither may say that all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushes_at_once_tell_the_same() {
    let (faulty, faults) = Faults::store(Bucket::memory().object_store());
    let writer = store(&Bucket::new(faulty)).writer(NOW);
    for (round, fails) in [false, true].into_iter().enumerate() {
        writer.add_bytes(noise(round as u64, 1000)).await.unwrap();
        if fails {
            faults.fail_once(Side::Before, |request| request.verb == Verb::Put);
        }
        let both = tokio::time::timeout(Duration::from_secs(20), async {
            tokio::join!(writer.flush(), writer.flush())
        });
        let (one, other) = both.await.expect("flushes do not wait for each other for ever");
        assert_eq!((one.is_err(), other.is_err()), (fails, fails));
    }
}

/// An index that cannot be listed refuses the content that would need it; nothing hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_fails_is_told() {
    let (faulty, faults) = Faults::store(Bucket::memory().object_store());
    let chunks = store(&Bucket::new(faulty));
    let writer = chunks.writer(NOW);
    faults.fail_once(Side::Before, |request| request.verb == Verb::List);
    assert_eq!(
        writer.add_bytes(noise(1, 3_000_000)).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    let (id, size, at) = writer.add_bytes(noise(1, 3_000_000)).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(chunks.read(&file(id, size), &at).await.unwrap(), noise(1, 3_000_000));
}

/// Dies at each request in turn, before and after it took effect. Whatever was flushed is whole, and packs that are there pass their check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_request() {
    let mut survived = 0;
    for side in [Side::Before, Side::After] {
        for call in 0..60 {
            let inner = Bucket::memory();
            let (faulty, faults) = Faults::store(inner.object_store());
            faults.die_after(call, side);
            let acknowledged = write_until_death(&Bucket::new(faulty)).await;
            survived += usize::from(!faults.is_dead());
            let after = store(&inner);
            for (seed, file, at) in acknowledged {
                assert_eq!(after.read(&file, &at).await.unwrap(), content(seed));
            }
            for pack in after.list_packs().await.unwrap() {
                assert_eq!(after.check_pack(pack).await.unwrap(), []);
            }
            assert_eq!(after.check_index().await.unwrap(), []);
        }
    }
    assert!(survived < 60, "most of the deaths came while something was written");
}

fn content(seed: u64) -> Bytes {
    match seed % 25 {
        24 => noise(seed, 1_500_000),
        n if n % 2 == 0 => noise(seed, 2_000),
        _ => text(seed, 3_000),
    }
}

async fn write_until_death(bucket: &Bucket) -> Vec<(u64, File, Location)> {
    let chunks = store(bucket);
    let writer = chunks.writer(NOW);
    let (mut acknowledged, mut waiting) = (Vec::new(), Vec::new());
    for seed in 0..75 {
        let added = writer.add_bytes(content(seed)).await;
        let Ok((id, size, at)) = added else { break };
        waiting.push((seed, file(id, size), at));
        if writer.flush().await.is_err() {
            break;
        }
        acknowledged.append(&mut waiting);
    }
    acknowledged
}
