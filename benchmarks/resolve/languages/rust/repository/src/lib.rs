//! Simple statistics of measured values.

mod histogram;
mod render;
mod summary;

pub use histogram::Histogram;
pub use render::render;
pub use summary::Summary;
