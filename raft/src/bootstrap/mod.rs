//! How a cluster comes to be: once, from clean state, and only when every configured node agrees
//! (spec §3.2, §13.1, §13.2). Silence of a peer means "wait", never "I am alone".

pub(crate) mod forming;
mod joining;
pub mod messages;
mod part;
pub mod rule;
