//! YAML text as a tree of nodes that know their line and column; `parse` turns nodes into definitions.
//! Invariant: no anchors, aliases, tags, duplicate keys or deep nests get past this module, so that what a reviewer
//! reads is what is meant.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use serde::{Deserialize, Serialize};

/// How deep lists and maps may stand in one another; definitions need four.
const DEPTH_MAX: usize = 32;
/// The largest definition file, in bytes: thousands of definitions.
pub const FILE_LEN_MAX: usize = 4 << 20;

/// A place in a file: both count from one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spot {
    pub line: u32,
    pub column: u32,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub spot: Spot,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    /// `plain` when not quoted: only then do `true`, `null` and numbers mean more than text.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Field>),
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub spot: Spot,
    pub node: Node,
}

/// What is wrong with the text, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub spot: Spot,
    pub message: String,
    pub cure: String,
}

impl Value {
    /// What the value is, for an error that says what was found.
    pub fn noun(&self) -> &'static str {
        match self {
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null") => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    pub fn is_nothing(&self) -> bool {
        self.noun() == "nothing"
    }
}

/// The documents of a file, in order; empty ones (a trailing `---`) are left out.
pub fn documents(text: &str) -> Result<Vec<Node>, Fault> {
    if text.len() > FILE_LEN_MAX {
        return Err(Fault {
            spot: Spot { line: 1, column: 1 },
            message: format!(
                "the file has {} bytes; a definition file may have {FILE_LEN_MAX}",
                text.len()
            ),
            cure: "split it into several files".into(),
        });
    }
    let mut reader = Reader {
        events: Parser::new_from_str(text),
    };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            event => documents.push(reader.node(event, span, 0)?),
        }
    }
    documents.retain(|node| !node.value.is_nothing());
    Ok(documents)
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Fault> {
        self.events.next_event().transpose().map_err(|error| Fault {
            spot: spot(error.marker()),
            message: format!("this is not YAML: {}", error.info()),
            cure: "check the indentation, quotes and colons here and in the line above".into(),
        })
    }

    fn must_next(&mut self, at: Spot) -> Result<(Event<'a>, Span), Fault> {
        self.next()?.ok_or_else(|| Fault {
            spot: at,
            message: "this is not YAML: the text ends in the middle of a value".into(),
            cure: "complete it".into(),
        })
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Fault> {
        let spot = spot(&span.start);
        if depth > DEPTH_MAX {
            return Err(refused(spot, "values nested so deeply", "write it flatter"));
        }
        let value = match event {
            Event::Alias(_) => return Err(refused(spot, "aliases (*name)", "write the value out")),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return Err(refused(
                    spot,
                    "anchors (&name)",
                    "remove the anchor and write the value out",
                ));
            }
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return Err(refused(spot, "tags (!name)", "remove the tag"));
            }
            Event::Scalar(text, style, ..) => Value::Scalar {
                text: text.into_owned(),
                plain: matches!(style, ScalarStyle::Plain),
            },
            Event::SequenceStart(..) => Value::List(self.list(spot, depth)?),
            Event::MappingStart(..) => Value::Map(self.map(spot, depth)?),
            _ => return Err(refused(spot, "an end without a start", "check the indentation")),
        };
        Ok(Node { spot, value })
    }

    fn list(&mut self, at: Spot, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.must_next(at)? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, at: Spot, depth: usize) -> Result<Vec<Field>, Fault> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let (event, span) = self.must_next(at)?;
            if matches!(event, Event::MappingEnd) {
                return Ok(fields);
            }
            let key = self.node(event, span, depth + 1)?;
            let Value::Scalar { text: name, .. } = key.value else {
                return Err(refused(
                    key.spot,
                    "a key that is not a name",
                    "write a name before the colon",
                ));
            };
            if let Some(first) = fields.iter().find(|field| field.name == name) {
                return Err(Fault {
                    spot: key.spot,
                    message: format!(
                        "the key {name:?} stands here again; it is already in line {}",
                        first.spot.line
                    ),
                    cure: "keep one of the two".into(),
                });
            }
            let (event, span) = self.must_next(key.spot)?;
            let node = self.node(event, span, depth + 1)?;
            fields.push(Field {
                name,
                spot: key.spot,
                node,
            });
        }
    }
}

fn spot(marker: &Marker) -> Spot {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Spot {
        line: small(marker.line()),
        column: small(marker.col().saturating_add(1)),
    }
}

fn refused(spot: Spot, what: &str, cure: &str) -> Fault {
    Fault {
        spot,
        message: format!("definitions cannot hold {what}"),
        cure: cure.into(),
    }
}
