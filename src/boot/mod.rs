//! L5: composition and process life: assemble the parts, listeners, TLS, telemetry, shutdown.

<<<<<<< HEAD
pub mod lifecycle;
pub mod listeners;
pub mod tls;
=======
pub mod telemetry;
>>>>>>> config
