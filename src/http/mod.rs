//! L4: the HTTP edge: translates requests and errors, never decides.
