//! The user plane through its routes, against a real PostgreSQL and a real single node (EP001-EP010, EP107-108, EP120-130).

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod admin;
mod answer;
mod audit;
mod audit_read;
mod audit_rows;
mod bearer;
mod consents;
mod control_audit;
mod generated;
mod import;
mod import_cli;
mod limits;
mod lives;
mod login;
mod logout;
mod mail;
mod mail_links;
mod mail_outbox;
mod mfa;
mod notices;
mod oauth;
mod own;
mod pages;
mod path_mode;
mod rbac;
mod refresh;
mod register;
mod seed;
mod session;
mod session_ends;
mod sweeps;
mod user_store;
mod users;
mod world;
