//! L2: the port onto the replicated control plane; the only layer beside `boot` that names `hellojohn-raft`.
