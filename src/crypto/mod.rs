//! L1: passwords, sealed values, signatures, tokens; secrets as newtypes.
