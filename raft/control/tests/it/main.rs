//! The control plane from outside: its properties, its released formats, what it renders.

mod arbitrary;
mod golden;
mod identifiers;
mod properties;
mod refusals;
mod rendered;
mod support;
