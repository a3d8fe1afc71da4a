//! L5: composition and process life: assemble the parts, listeners, TLS, telemetry, shutdown.

pub mod lifecycle;
pub mod listeners;
pub mod private_postgres;
pub mod telemetry;
pub mod tls;
