//! L3: use cases, one verb a file. They decide; they know no HTTP, no SQL, no openraft.
