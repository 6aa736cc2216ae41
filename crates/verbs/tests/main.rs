//! The tests of the verbs, as a surface asks for them.

mod desk;
mod features;
mod files;
mod schemas;
mod support;
mod tables;
