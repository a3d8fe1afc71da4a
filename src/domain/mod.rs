//! L0: plain types and rules. Knows no I/O.
