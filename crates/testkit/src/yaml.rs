//! YAML as plain nodes, for test data that people write. `law` reads its cases with it; the product has a stricter reader.
//! Invariant: text that is not YAML, or uses more of it than scalars, lists and maps, panics with its line.

use saphyr_parser::{Event, Parser, StrInput};

/// A value and the line that it begins in, counted from one.
#[derive(Clone, Debug)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// The only document of a text.
pub fn document(text: &str) -> Node {
    let mut parser = Parser::new_from_str(text);
    loop {
        match next(&mut parser) {
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (event, line) => return node(&mut parser, event, line),
        }
    }
}

fn next<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> (Event<'a>, usize) {
    let event = parser.next_event().expect("the text ends in the middle of a value");
    let (event, span) = event.unwrap_or_else(|error| panic!("this is not YAML: {error}"));
    (event, span.start.line())
}

fn node<'a>(parser: &mut Parser<'a, StrInput<'a>>, event: Event<'a>, line: usize) -> Node {
    let value = match event {
        Event::Scalar(text, ..) => Value::Scalar(text.into_owned()),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            loop {
                match next(parser) {
                    (Event::SequenceEnd, _) => break Value::List(items),
                    (event, line) => items.push(node(parser, event, line)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut fields = Vec::new();
            loop {
                match next(parser) {
                    (Event::MappingEnd, _) => break Value::Map(fields),
                    (Event::Scalar(name, ..), _) => {
                        let (event, line) = next(parser);
                        fields.push((name.into_owned(), node(parser, event, line)));
                    }
                    (other, line) => panic!("line {line}: a name is wanted, not {other:?}"),
                }
            }
        }
        other => panic!("line {line}: a value is wanted, not {other:?}"),
    };
    Node { line, value }
}
