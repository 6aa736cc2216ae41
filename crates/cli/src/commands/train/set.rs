//! How a training set looks.

use std::io::{self, Write};

use drumlin_verbs::TrainingSetView;

use crate::ui::{FAINT, NAME, count, paint};

pub fn print_set(out: &mut dyn Write, set: &TrainingSetView) -> io::Result<()> {
    writeln!(out, "training set {}: {} rows", paint(NAME, &set.name), count(set.rows))?;
    writeln!(out, "id        {}", set.id)?;
    writeln!(out, "content   {}", set.content)?;
    writeln!(out, "pinned at {}", set.commit)?;
    for (view, counts) in &set.counts.views {
        let statuses = counts.statuses.iter();
        let statuses: Vec<String> = statuses
            .map(|(status, rows)| format!("{status} {}", count(*rows)))
            .collect();
        writeln!(out, "  {:<18} {}", paint(NAME, view), paint(FAINT, statuses.join(", ")))?;
    }
    Ok(())
}
