//! L4: reconcilers: take no input, are idempotent, run on a timer and on a signal.
