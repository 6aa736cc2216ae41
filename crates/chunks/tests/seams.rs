//! What the parts of the crate promise each other and the floors above: names of packs, kept values, and what a listener is told.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use drumlin_chunks::{Bucket, Put, Recent};
use drumlin_model::{ErrorKind, PackId, Timestamp};
use drumlin_testkit::watched_store::{Request, Verb, WatchedStore, Watcher};
use object_store::{Error, Result};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use crate::support::{NOW, keys, noise, store};

/// Ids begin with the milliseconds since 1970, so a listing has the packs in the order in which they were begun.
#[tokio::test]
async fn packs_are_listed_in_the_order_of_time() {
    let bucket = Bucket::memory();
    let hour = 3_600_000_000;
    let mut expected = Vec::new();
    for hours in [2, 0, 5, 1] {
        let began = Timestamp::from_micros(NOW.micros() + hours * hour);
        let writer = store(&bucket).writer(began);
        let before = keys(&bucket, "packs").await;
        writer.add_bytes(noise(hours as u64, 100)).await.unwrap();
        writer.flush().await.unwrap();
        let new = keys(&bucket, "packs")
            .await
            .into_iter()
            .find(|key| !before.contains(key))
            .unwrap();
        expected.push((began, new));
    }
    expected.sort();
    let listed = keys(&bucket, "packs").await;
    assert_eq!(listed, expected.iter().map(|(_, key)| key.clone()).collect::<Vec<_>>());
    for (began, key) in expected {
        let id: PackId = key.trim_start_matches("packs/").parse().unwrap();
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&id.as_bytes()[..6]);
        let late = u64::from_be_bytes(millis) - began.micros() as u64 / 1000;
        assert!(late < 60_000, "{late} ms");
    }
}

/// A clock that is before 1970 names packs by chance alone.
#[tokio::test]
async fn a_clock_that_is_wrong_does_no_harm() {
    let bucket = Bucket::memory();
    for micros in [i64::MIN, -1, i64::MAX] {
        let writer = store(&bucket).writer(Timestamp::from_micros(micros));
        writer.add_bytes(noise(micros as u64, 100)).await.unwrap();
        writer.flush().await.unwrap();
    }
    assert_eq!(keys(&bucket, "packs").await.len(), 3);
}

#[test]
fn what_was_used_last_is_kept_within_the_limit() {
    let recent: Recent<String, u32> = Recent::new(100);
    for number in 0..1000 {
        recent.insert(number.to_string(), number, 10);
        assert_eq!(recent.get(number.to_string().as_str()), Some(number));
        assert_eq!(recent.get("0"), Some(0), "it was used after each");
    }
    let kept = (0..1000).filter(|number| recent.get(number.to_string().as_str()).is_some());
    assert!((5..=10).contains(&kept.count()));
    recent.insert("heavy".to_string(), 1, 51);
    assert_eq!(recent.get("heavy"), None);
    for weight in [40, 1, 40] {
        recent.insert("again".to_string(), weight, weight as usize);
        assert_eq!(recent.get("again"), Some(weight));
    }
}

/// Says of the first so many writes that the object exists.
#[derive(Debug)]
struct Doubtful {
    left: AtomicU32,
}

impl Watcher for Doubtful {
    fn before(&self, request: &Request) -> Result<()> {
        let take = |left: u32| left.checked_sub(1);
        let doubts =
            request.verb == Verb::Put && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
        if !doubts {
            return Ok(());
        }
        Err(Error::AlreadyExists {
            path: request.key.clone(),
            source: "another request is on its way".into(),
        })
    }
    fn after(&self, _request: &Request) -> Result<()> {
        Ok(())
    }
}

/// A store may say "exists" of another writer's request, which then fails. What is acknowledged is there.
#[tokio::test]
async fn what_is_said_to_exist_and_does_not_is_put_again() {
    for (doubts, stored) in [(1, true), (3, true), (100, false)] {
        let left = AtomicU32::new(doubts);
        let watched = WatchedStore::new(Bucket::memory().object_store(), Arc::new(Doubtful { left }));
        let bucket = Bucket::new(Arc::new(watched));
        let put = bucket.put_new("ranges/a", Bytes::from("x")).await;
        if stored {
            assert_eq!(put.unwrap(), Put::Written, "{doubts}");
            assert_eq!(bucket.get("ranges/a").await.unwrap(), "x");
            assert_eq!(
                bucket.put_new("ranges/a", Bytes::from("x")).await.unwrap(),
                Put::Existed
            );
        } else {
            assert_eq!(put.unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
    }
}

/// Notes each span: its name and its fields.
#[derive(Clone, Default)]
struct Listener {
    heard: Arc<Mutex<Vec<String>>>,
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        *self.0 += &format!(" {field}={value:?}");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("drumlin_chunks")
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut line = span.metadata().name().to_string();
        span.record(&mut Fields(&mut line));
        let mut heard = self.heard.lock().unwrap();
        heard.push(line);
        span::Id::from_u64(heard.len() as u64)
    }
    fn record(&self, span: &span::Id, values: &span::Record<'_>) {
        let mut heard = self.heard.lock().unwrap();
        values.record(&mut Fields(&mut heard[span.into_u64() as usize - 1]));
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Each request to the store is a span that says what was asked of which object, and how many bytes it is about.
#[test]
fn a_listener_hears_of_each_request() {
    let listener = Listener::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tracing::subscriber::with_default(listener.clone(), || {
        runtime.block_on(async {
            let bucket = Bucket::memory();
            bucket.put_new("packs/a", Bytes::from("abcdef")).await.unwrap();
            bucket.get_at_most("packs/a", 100).await.unwrap();
            bucket.get_range("packs/a", 1..3).await.unwrap();
            bucket.head("packs/a").await.unwrap();
            bucket.delete("packs/a").await.unwrap();
        });
    });
    let heard = listener.heard.lock().unwrap();
    let expected = [
        "put_new bytes=6 key=\"packs/a\"",
        "get_at_most key=\"packs/a\" bytes=6",
        "get_range start=1 end=3 key=\"packs/a\"",
        "head key=\"packs/a\"",
        "delete key=\"packs/a\"",
    ];
    let sorted = |line: &str| {
        let mut words: Vec<String> = line.split(' ').map(str::to_string).collect();
        words[1..].sort();
        words
    };
    let heard: Vec<_> = heard.iter().map(|line| sorted(line)).collect();
    assert_eq!(heard, expected.map(sorted));
}
