//! Drumlin
