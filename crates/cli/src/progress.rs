//! `Bars`: progress for who watches a terminal, drawn on stderr. Nothing depends on what is drawn.

use std::{sync::Mutex, time::Duration};

use drumlin_chunks::{Progress, Unit};
use indicatif::{ProgressBar, ProgressStyle};

/// One bar at a time, with rate and time left.
pub struct Bars {
    shown: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bars {
    pub fn new(shown: bool) -> Self {
        let bar = Mutex::new(None);
        Self { shown, bar }
    }
}

/// Work that ends sooner than this shows no bar.
const BAR_DELAY: Duration = Duration::from_millis(120);

impl Progress for Bars {
    fn start(&self, task: &str, total: Option<u64>, unit: Unit) {
        let of = total.map_or_else(String::new, |total| format!(", {total} {}", noun(unit)));
        tracing::info!("{task}: started{of}");
        if !self.shown {
            return;
        }
        let counts = match unit {
            Unit::Bytes => "{bytes}/{total_bytes}  {bytes_per_sec}",
            Unit::Files | Unit::Rows | Unit::Items => "{human_pos}/{human_len}  {per_sec}",
        };
        let template = match total {
            Some(_) => format!("{{msg}} [{{bar:32.cyan}}] {counts}  {{eta}} left"),
            None => format!(
                "{{msg}} {{spinner}} {}",
                counts.replace("/{total_bytes}", "").replace("/{human_len}", "")
            ),
        };
        let bar = total
            .map_or_else(ProgressBar::new_spinner, ProgressBar::new)
            .with_message(task.to_owned());
        bar.set_style(
            ProgressStyle::with_template(&template)
                .expect("the template is ours")
                .progress_chars("█▌ "),
        );
        bar.enable_steady_tick(BAR_DELAY);
        *self.bar.lock().expect("no holder panics") = Some(bar);
    }

    fn grow(&self, by: u64) {
        if let Some(bar) = &*self.bar.lock().expect("no holder panics") {
            bar.inc_length(by);
        }
    }

    fn advance(&self, by: u64) {
        if let Some(bar) = &*self.bar.lock().expect("no holder panics") {
            bar.inc(by);
        }
    }

    fn finish(&self) {
        tracing::info!("finished");
        if let Some(bar) = self.bar.lock().expect("no holder panics").take() {
            bar.finish_and_clear();
        }
    }
}

/// What a unit counts, for people.
fn noun(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes",
        Unit::Files => "files",
        Unit::Rows => "rows",
        Unit::Items => "items",
    }
}
