//! Comparing two training sets whose spines differ: rows are matched by their spine columns, in the engine.
//! `diff` calls it when streaming side by side is not possible. Rows that are equal in all spine columns are numbered, so that
//! the n-th of one set meets the n-th of the other.

use arrow::{array::AsArray, datatypes::Int64Type};
use datafusion::prelude::{SessionConfig, SessionContext};
use drumlin_tables::Engine;
use futures::TryStreamExt;

use crate::{
    error::{Error, Result},
    scan::Table,
};

/// Counts of common rows.
#[derive(Debug)]
pub(super) struct Counted {
    pub common: u64,
    pub changed: u64,
    /// By shared column.
    pub columns: Vec<u64>,
}

/// Matches the rows of two sets by their columns `spine` and compares the columns `shared`.
pub(super) async fn by_identity(
    engine: &Engine,
    old: &Table,
    new: &Table,
    spine: &[String],
    shared: &[String],
) -> Result<Counted> {
    let failed = || Error::query("two training sets");
    let mut config = SessionConfig::new().with_target_partitions(engine.options().threads.max(1));
    // A hash join cannot spill; a merge join can.
    config.options_mut().optimizer.prefer_hash_join = false;
    let session = SessionContext::new_with_config_rt(config, engine.runtime_env());
    for (name, table) in [("__before", old), ("__after", new)] {
        let provider = table.ordered(table.schema.clone())?;
        session.register_table(name, provider).map_err(failed())?;
    }
    let frame = session.sql(&query(spine, shared)).await.map_err(failed())?;
    let mut rows = frame.execute_stream().await.map_err(failed())?;
    let mut sums = vec![0_i64; shared.len() + 2];
    while let Some(batch) = rows.try_next().await.map_err(failed())? {
        for (sum, column) in sums.iter_mut().zip(batch.columns()) {
            *sum += column.as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        }
    }
    let sums: Vec<u64> = sums.into_iter().map(|sum| sum.max(0) as u64).collect();
    Ok(Counted {
        common: sums[0],
        changed: sums[1],
        columns: sums[2..].to_vec(),
    })
}

/// One row of counts: common rows, changed rows, then the changed rows of each shared column.
fn query(spine: &[String], shared: &[String]) -> String {
    let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let list = |names: &[String]| names.iter().map(quoted).collect::<Vec<_>>().join(", ");
    let differs = |name: &String| format!("(a.{0} IS DISTINCT FROM b.{0})", quoted(name));
    let counted = |condition: &str| format!("coalesce(sum(CASE WHEN {condition} THEN 1 ELSE 0 END), 0)");
    let any = if shared.is_empty() {
        "false".to_owned()
    } else {
        shared.iter().map(differs).collect::<Vec<_>>().join(" OR ")
    };
    let mut counts = vec!["count(*)".to_owned(), counted(&any)];
    counts.extend(shared.iter().map(|name| counted(&differs(name))));
    let same = spine
        .iter()
        .map(|name| format!("(a.{0} IS NOT DISTINCT FROM b.{0})", quoted(name)));
    let same = same.collect::<Vec<_>>().join(" AND ");
    let numbered = |table: &str| {
        format!(
            "SELECT *, row_number() OVER (PARTITION BY {0} ORDER BY {0}) AS __number FROM {table}",
            list(spine)
        )
    };
    format!(
        "SELECT {} FROM ({}) a JOIN ({}) b ON (a.__number IS NOT DISTINCT FROM b.__number) AND {same}",
        counts
            .into_iter()
            .enumerate()
            .map(|(index, count)| format!("{count} AS c{index}"))
            .collect::<Vec<_>>()
            .join(", "),
        numbered("__before"),
        numbered("__after"),
    )
}
