//! Each source is opened once for a request: a table's log is loaded once, however many steps need the table.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use drumlin_features::{definition::ViewUse, training::Features};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use crate::support::{Fixture, Kind};

/// The span that loading a table's log opens.
const LOAD: &str = "load_log";

/// The tables whose logs were loaded, in order.
#[derive(Clone, Default)]
struct Loads(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Loads {
    fn on_new_span(&self, attributes: &Attributes<'_>, _id: &Id, _context: Context<'_, S>) {
        if attributes.metadata().name() == LOAD {
            attributes.record(&mut Table(&mut self.0.lock().unwrap()));
        }
    }
}

/// Notes the field `table`.
struct Table<'a>(&'a mut Vec<String>);

impl Visit for Table<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "table" {
            self.0.push(format!("{value:?}"));
        }
    }
}

/// What a request loads, sorted.
async fn loaded<T>(request: impl Future<Output = T>) -> Vec<String> {
    let loads = Loads::default();
    let subscriber = tracing_subscriber::registry().with(loads.clone());
    let guard = tracing::subscriber::set_default(subscriber);
    request.await;
    drop(guard);
    let mut loaded = std::mem::take(&mut *loads.0.lock().unwrap());
    loaded.sort();
    loaded
}

#[tokio::test]
async fn a_request_loads_the_log_of_each_table_once() {
    let fixture = Fixture::flights().await;
    let create = fixture.request_set("main", "set").await;
    let both = ["tables/flights", "tables/weather"];
    assert_eq!(loaded(fixture.train("main", create)).await, both);
    let at = fixture.snapshot("main").await;
    assert_eq!(loaded(fixture.rebuild(&at, "set")).await, both);

    let mut twice = fixture.request_set("main", "twice").await;
    let under = |alias: &str| ViewUse {
        alias: Some(alias.into()),
        ..ViewUse::of("weather_hourly")
    };
    twice.features = Features::Views(vec![under("a"), under("b")]);
    assert_eq!(loaded(fixture.train("main", twice)).await, both);

    let changed = crate::support::DEFINITIONS.replace("max_age: 3h", "max_age: 6h");
    assert_eq!(loaded(fixture.apply("main", &changed)).await, ["tables/weather"]);
    let store = fixture.store(Kind::Memory);
    let now = "2013-02-01T00:00:00Z";
    assert_eq!(
        loaded(fixture.materialize(&store, "main", now)).await,
        ["tables/weather"]
    );
}
