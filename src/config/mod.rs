//! L1: configuration: defaults, YAML, environment, flags; one file a section.
