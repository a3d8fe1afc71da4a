//! The user plane through its routes, against a real PostgreSQL and a real single node (EP001-EP007, EP107-108).

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod admin;
mod answer;
mod audit;
mod bearer;
mod consents;
mod generated;
mod login;
mod logout;
mod own;
mod path_mode;
mod rbac;
mod refresh;
mod register;
mod user_store;
mod users;
mod world;
