//! From a request to types: bodies, path identifiers, conditions, paging, who calls from where.
//!
//! Everything is parsed once, here, with a limit on every size; a handler sees typed values only.

mod below;
pub mod body;
pub mod caller;
pub mod client_info;
pub mod conditions;
pub mod idempotency;
mod in_tenant;
pub mod page;
pub mod query;
mod requester;
pub mod segment;

pub use below::Below;
pub use body::{JsonBody, OptionalJsonBody};
pub use caller::Caller;
pub use client_info::ClientInfo;
pub use conditions::{MinIndex, precondition_of};
pub use in_tenant::InTenant;
pub use page::{Page, PageOf};
pub use query::Query;
pub use segment::{PathParam, Segment};
