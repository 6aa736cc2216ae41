//! A graph as an SVG file that stands alone: boxes in columns from raw data on the left to what was made on the right.
//! `layout` says where everything goes. No scripts and no fonts of its own, so that any viewer shows it.

use std::fmt::Write;

use drumlin_model::Timestamp;

use crate::{
    graph::{Direction, Graph, Node, NodeKind},
    layout::{Gaps, Layout, Place, Size, layout},
};

const FONT: &str = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif";
/// Font sizes, in pixels.
const NAME_SIZE: f64 = 13.0;
const NOTE_SIZE: f64 = 11.0;
const TITLE_SIZE: f64 = 17.0;
/// The mean width of a letter as a part of the font size, rounded up; letters of East Asian scripts take a whole one.
const LETTER: f64 = 0.6;
/// The longest text in a box, in letters; the whole of it is in the tooltip.
const TEXT_LEN_MAX: usize = 34;
/// Lengths, in pixels.
const MARGIN: f64 = 28.0;
const PADDING: f64 = 12.0;
const STRIPE: f64 = 5.0;
const BOX_HEIGHT: f64 = 46.0;
const RUN_HEIGHT: f64 = 36.0;
const HEAD_HEIGHT: f64 = 64.0;
const FOOT_HEIGHT: f64 = 24.0;
const GAPS: Gaps = Gaps {
    columns: 44.0,
    rows: 16.0,
};
const WIDTH_MIN: f64 = 560.0;

/// A colour for the stripe of a box and a pale one for its ground.
fn colours(kind: NodeKind) -> (&'static str, &'static str) {
    match kind {
        NodeKind::External => ("#8a6d3b", "#faf5ea"),
        NodeKind::File | NodeKind::Folder => ("#64748b", "#f4f6f8"),
        NodeKind::Table => ("#2563a8", "#edf4fb"),
        NodeKind::Features => ("#7a3fa0", "#f7f0fb"),
        NodeKind::TrainingSet => ("#237a4b", "#edf8f1"),
        NodeKind::Run => ("#b7bec8", "#ffffff"),
    }
}

impl Graph {
    /// The drawing. Edges run from what was read to what was made.
    pub fn to_svg(&self) -> String {
        let labels: Vec<Label> = self.nodes.iter().map(Label::of).collect();
        let sizes: Vec<Size> = labels.iter().map(Label::size).collect();
        let placed = layout(&sizes, &self.edges, GAPS);
        let title = self.title();
        let width = (placed.width + 2.0 * MARGIN)
            .max(WIDTH_MIN)
            .max(text_width(&title, TITLE_SIZE) + 2.0 * MARGIN);
        let height = HEAD_HEIGHT + placed.height + FOOT_HEIGHT + MARGIN;
        let mut svg = head(&title, width, height);
        self.legend(&mut svg);
        let _ = writeln!(svg, r#"<g transform="translate({MARGIN} {HEAD_HEIGHT})">"#);
        for (at, edge) in self.edges.iter().enumerate() {
            let (from, to) = (placed.places[edge.from], placed.places[edge.to]);
            let start = Place {
                x: from.x + sizes[edge.from].width,
                y: from.y,
            };
            let line = Line {
                start,
                leaves: placed.rights[edge.from],
                bends: &placed.bends[at],
                end: to,
            };
            line.draw(&mut svg);
        }
        for (node, label) in labels.iter().enumerate() {
            label.draw(
                &mut svg,
                self.nodes[node].kind,
                placed.places[node],
                self.roots.contains(&node),
            );
        }
        svg.push_str("</g>\n");
        self.foot(&mut svg, &placed);
        svg.push_str("</svg>\n");
        svg
    }

    fn title(&self) -> String {
        let asked = match self.roots.as_slice() {
            [] => String::from("nothing"),
            [root] => self.nodes[*root].address(),
            [root, others @ ..] => match others
                .iter()
                .all(|&other| self.nodes[other].name == self.nodes[*root].name)
            {
                true => self.nodes[*root].name.clone(),
                false => format!("{} and {} more", self.nodes[*root].address(), others.len()),
            },
        };
        match self.direction {
            Direction::Origins => format!("What {asked} was made from"),
            Direction::Impact => format!("What was made from {asked}"),
        }
    }

    fn legend(&self, svg: &mut String) {
        let mut x = MARGIN;
        for kind in NodeKind::ALL
            .into_iter()
            .filter(|&kind| self.nodes.iter().any(|node| node.kind == kind))
        {
            let (stripe, ground) = colours(kind);
            let _ = writeln!(
                svg,
                r##"<rect x="{x:.1}" y="42" width="11" height="11" rx="2.5" fill="{ground}" stroke="{stripe}" stroke-width="1.5"/><text x="{:.1}" y="52" font-size="{NOTE_SIZE}" fill="#5b6470">{}</text>"##,
                x + 17.0,
                kind.label(),
            );
            x += 17.0 + text_width(kind.label(), NOTE_SIZE) + 16.0;
        }
    }

    fn foot(&self, svg: &mut String, placed: &Layout) {
        if self.truncated {
            let y = HEAD_HEIGHT + placed.height + FOOT_HEIGHT;
            let _ = writeln!(
                svg,
                r##"<text x="{MARGIN}" y="{y:.1}" font-size="{NOTE_SIZE}" fill="#a33a2c">There is more: a limit was reached.</text>"##
            );
        }
    }
}

fn head(title: &str, width: f64, height: f64) -> String {
    let title = escaped(title);
    format!(
        r##"<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0}" height="{height:.0}" viewBox="0 0 {width:.0} {height:.0}" font-family="{FONT}">
<title>{title}</title>
<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0.5 0.8 7.5 4 0.5 7.2 2.2 4z" fill="#8d97a5"/></marker></defs>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="{MARGIN}" y="30" font-size="{TITLE_SIZE}" font-weight="600" fill="#1b2430">{title}</text>
"##
    )
}

/// A smooth line from box to box, level where it is in a column.
struct Line<'a> {
    start: Place,
    /// Where the column of the first box ends.
    leaves: f64,
    bends: &'a [(Place, f64)],
    end: Place,
}

impl Line<'_> {
    fn draw(&self, svg: &mut String) {
        let mut at = Place {
            x: self.leaves,
            y: self.start.y,
        };
        let mut path = format!("M{:.1} {:.1}H{:.1}", self.start.x, self.start.y, at.x);
        let mut curve = |at: Place, to: Place| {
            let middle = (at.x + to.x) / 2.0;
            let _ = write!(
                path,
                " C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}",
                at.y, to.y, to.x, to.y
            );
        };
        for &(bend, width) in self.bends {
            curve(at, bend);
            at = Place {
                x: bend.x + width,
                y: bend.y,
            };
            curve(bend, at);
        }
        curve(at, self.end);
        let _ = writeln!(
            svg,
            r##"<path d="{path}" fill="none" stroke="#a3acb8" stroke-width="1.4" marker-end="url(#arrow)"/>"##
        );
    }
}

/// What stands in a box: a name, a note below it, and all of it in full for the tooltip.
struct Label {
    name: String,
    note: String,
    full: String,
    is_run: bool,
}

impl Label {
    fn of(node: &Node) -> Self {
        let is_run = node.kind == NodeKind::Run;
        let commit = node.commit.map(|commit| commit.short()).unwrap_or_default();
        let note = match (&node.run, node.kind) {
            (Some(run), NodeKind::Run) => date(run.time),
            (_, NodeKind::External) => node.short_version().unwrap_or(node.kind.label()).to_owned(),
            _ => match node.short_version() {
                Some(version) => format!("@{commit}  version {version}"),
                None => format!("@{commit}"),
            },
        };
        Self {
            name: shortened(&node.name),
            note: shortened(&note),
            full: full(node),
            is_run,
        }
    }

    fn size(&self) -> Size {
        let text = text_width(&self.name, NAME_SIZE).max(text_width(&self.note, NOTE_SIZE));
        let height = if self.is_run { RUN_HEIGHT } else { BOX_HEIGHT };
        Size {
            width: (text + 2.0 * PADDING + STRIPE).ceil(),
            height,
        }
    }

    fn draw(&self, svg: &mut String, kind: NodeKind, at: Place, is_root: bool) {
        let (stripe, ground) = colours(kind);
        let Size { width, height } = self.size();
        let (x, y) = (at.x, at.y - height / 2.0);
        let radius = if self.is_run { height / 2.0 } else { 6.0 };
        let line = if is_root { 2.2 } else { 1.1 };
        let dash = if self.is_run {
            r#" stroke-dasharray="3 2.5""#
        } else {
            ""
        };
        let _ = write!(
            svg,
            r##"<g><title>{}</title><rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="{radius}" fill="{ground}" stroke="{stripe}" stroke-width="{line}"{dash}/>"##,
            escaped(&self.full),
        );
        let mut text_x = x + PADDING + STRIPE / 2.0;
        if !self.is_run {
            let _ = write!(
                svg,
                r##"<path d="M{:.1} {y:.1}h-{s}a6 6 0 0 0 -6 6v{:.1}a6 6 0 0 0 6 6h{s}z" fill="{stripe}"/>"##,
                x + STRIPE + 1.0,
                height - 12.0,
                s = STRIPE - 5.0,
            );
            text_x = x + PADDING + STRIPE;
        }
        let (name_size, weight) = if self.is_run {
            (NAME_SIZE - 1.0, 500)
        } else {
            (NAME_SIZE, 600)
        };
        let _ = writeln!(
            svg,
            r##"<text x="{text_x:.1}" y="{:.1}" font-size="{name_size}" font-weight="{weight}" fill="#1b2430">{}</text><text x="{text_x:.1}" y="{:.1}" font-size="{NOTE_SIZE}" fill="#5b6470">{}</text></g>"##,
            at.y - 3.0,
            escaped(&self.name),
            at.y + 12.5,
            escaped(&self.note),
        );
    }
}

/// Everything that is known of a node, a line each.
fn full(node: &Node) -> String {
    let mut lines = vec![format!("{} ({})", node.name, node.kind.label())];
    lines.extend(node.commit.map(|commit| format!("commit {commit}")));
    lines.extend(node.version.as_ref().map(|version| format!("version {version}")));
    if let Some(run) = &node.run
        && run.provenance.is_none()
    {
        lines.push(format!("{}, what made it is gone", run.time));
    }
    if let Some(provenance) = node.run.as_ref().and_then(|run| run.provenance.as_ref()) {
        lines.push(format!(
            "{} by {}, {}",
            provenance.verb, provenance.actor, provenance.finished
        ));
        lines.extend((!provenance.message.is_empty()).then(|| provenance.message.clone()));
        lines.extend(provenance.code.as_ref().map(|code| {
            format!(
                "code {}{}",
                code.git_commit,
                if code.dirty { " with changes" } else { "" }
            )
        }));
    }
    lines.join("\n")
}

fn date(time: Timestamp) -> String {
    time.to_datetime()
        .map_or_else(|| time.to_string(), |time| time.format("%Y-%m-%d %H:%M").to_string())
}

/// Long text without its middle, because both ends of a path say more.
fn shortened(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= TEXT_LEN_MAX {
        return text.to_owned();
    }
    let kept = TEXT_LEN_MAX - 1;
    let (first, last) = (&letters[..kept / 3], &letters[letters.len() - (kept - kept / 3)..]);
    first.iter().chain(&['…']).chain(last).collect()
}

fn text_width(text: &str, size: f64) -> f64 {
    // From U+1100 on, most letters are as wide as they are high.
    text.chars()
        .map(|letter| {
            if letter >= '\u{1100}' && letter != '…' {
                size
            } else {
                size * LETTER
            }
        })
        .sum()
}

/// Text for XML, without the characters that XML has no way to hold.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(letter),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}
