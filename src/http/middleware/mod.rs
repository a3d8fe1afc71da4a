//! What stands around every route, outermost first: observe, render, cors, panic, concurrency, limit.
//!
//! The guard of a route (`http::plane`) comes after all of these and before its handler.

pub mod concurrency;
pub mod cors;
pub mod limit;
pub mod observe;
pub mod panic;
pub mod render;
pub mod security_headers;
pub mod trace_context;
