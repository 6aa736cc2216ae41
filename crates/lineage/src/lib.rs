//! Lineage: the graph over the provenance that commits carry. What was this made from; what was made from that.
//! Below: `drumlin-repo`, whose history is the only record. Above: the command line, which prints what `Graph` renders.
//! Invariant: nothing is stored. The same commits give the same graph, in the same order, wherever it is asked for.
//!
//! A node is a version of a thing: the path that a commit's provenance names as an output, at that commit. Between the
//! things stand the runs, which are the commits themselves: `input -> run -> output`. An input read at a commit means the
//! version that was current there.

mod artifact;
mod error;
mod graph;
mod history;
mod json;
mod layout;
mod lineage;
mod svg;
mod text;
mod thing;
mod versions;
mod walk;

pub use error::{Error, Result};
pub use graph::{Direction, Edge, Graph, Node, NodeKind, RunRecord};
pub use lineage::Lineage;
pub use thing::{DEPTH_MAX, Limits, NODES_MAX};
