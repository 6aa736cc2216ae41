//! Finds `table@ref` in the text of a query and puts a quoted name in its place: SQL has no word for a ref.
//! Works on tokens, so strings and comments stay as they are. `query` resolves what is found.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::{
    dialect::GenericDialect,
    tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word},
};
use drumlin_model::RefExpr;

use crate::error::{Error, Result};

/// A query whose refs stand in quoted names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) sql: String,
    /// By the quoted name: the table and the ref that it stands for.
    pub(super) pinned: BTreeMap<String, (String, RefExpr)>,
}

/// `is_ref` says whether there is a branch or tag of that name: a ref ends where the longest one that exists does, so
/// that `flights@v1.delay` is a column and `flights@v1.0` a ref.
pub(super) fn rewrite(sql: &str, is_ref: &dyn Fn(&str) -> bool) -> Result<Rewritten> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| Error::Query {
            detail: error.to_string(),
            cures: Vec::new(),
        })?;
    let places = Places::new(sql);
    let mut rewritten = Rewritten {
        sql: String::with_capacity(sql.len()),
        pinned: BTreeMap::new(),
    };
    let mut copied = 0;
    for (index, token) in tokens.iter().enumerate() {
        let start = places.byte(token.span.start);
        if start < copied {
            continue;
        }
        let Some((table, at)) = table_before_at(token, tokens.get(index + 1), &places) else {
            continue;
        };
        let (text, end) = reference_at(sql, at + 1, is_ref);
        let reference: RefExpr = text.parse().map_err(|source| Error::Reference {
            name: text.clone(),
            source,
        })?;
        let name = format!("{table}@{text}");
        rewritten.sql.push_str(&sql[copied..start]);
        rewritten.sql.push_str(&format!("\"{}\"", name.replace('"', "\"\"")));
        rewritten.pinned.insert(name, (table, reference));
        copied = end;
    }
    rewritten.sql.push_str(&sql[copied..]);
    Ok(rewritten)
}

/// The table's name and the place of its `@`, when this token starts `table@ref`.
fn table_before_at(token: &TokenWithSpan, next: Option<&TokenWithSpan>, places: &Places) -> Option<(String, usize)> {
    let Token::Word(Word { value, quote_style, .. }) = &token.token else {
        return None;
    };
    if quote_style.is_none() {
        let (table, _) = value.split_once('@').filter(|(table, _)| !table.is_empty())?;
        return Some((table.to_lowercase(), places.byte(token.span.start) + table.len()));
    }
    let next = next.filter(|next| next.span.start == token.span.end)?;
    let Token::Word(Word {
        value: after,
        quote_style: None,
        ..
    }) = &next.token
    else {
        return None;
    };
    after
        .starts_with('@')
        .then(|| (value.clone(), places.byte(next.span.start)))
}

/// The ref that starts at byte `start`, and where it ends.
fn reference_at(sql: &str, start: usize, is_ref: &dyn Fn(&str) -> bool) -> (String, usize) {
    let rest = &sql[start..];
    if let Some(quoted) = rest.strip_prefix('"')
        && let Some(length) = quoted.find('"')
    {
        return (quoted[..length].to_owned(), start + length + 2);
    }
    let known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '~');
    let run = &rest[..rest.find(|c| !known(c)).unwrap_or(rest.len())];
    let ends = run.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
    let stops_well = |end: &usize| !run[*end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let longest = ends.filter(stops_well).find(|end| exists(&run[..*end], is_ref));
    let end = longest.unwrap_or_else(|| run.find('.').unwrap_or(run.len()));
    (run[..end].to_owned(), start + end)
}

fn exists(text: &str, is_ref: &dyn Fn(&str) -> bool) -> bool {
    fn named(expr: &RefExpr, is_ref: &dyn Fn(&str) -> bool) -> bool {
        match expr {
            RefExpr::Name(name) => is_ref(name.as_str()),
            RefExpr::CommitPrefix(_) => true,
            RefExpr::Ancestor { of, .. } => named(of, is_ref),
        }
    }
    text.parse().is_ok_and(|expr| named(&expr, is_ref))
}

/// From lines and columns to bytes.
struct Places {
    /// The byte at which each character starts, and the end.
    chars: Vec<usize>,
    /// The character at which each line starts.
    lines: Vec<usize>,
}

impl Places {
    fn new(text: &str) -> Self {
        let chars = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
        let after_newline = text
            .chars()
            .enumerate()
            .filter(|(_, c)| *c == '\n')
            .map(|(index, _)| index + 1);
        Self {
            chars,
            lines: [0].into_iter().chain(after_newline).collect(),
        }
    }
    fn byte(&self, at: Location) -> usize {
        let line = self.lines[(at.line as usize).saturating_sub(1).min(self.lines.len() - 1)];
        self.chars[(line + (at.column as usize).saturating_sub(1)).min(self.chars.len() - 1)]
    }
}
