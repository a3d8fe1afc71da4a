//! L5: composition and process life: assemble the parts, listeners, TLS, telemetry, shutdown.

pub mod private_postgres;
