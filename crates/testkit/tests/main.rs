//! The tests of the tree itself: which way imports go, and what the code may look like.

mod circles;
mod floors;
mod source;
mod surface;
mod tidy;
