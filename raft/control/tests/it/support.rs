//! Golden files and the machine that they make.

use std::path::PathBuf;

use hellojohn_control::{Batch, Issuer, Machine};

pub(crate) fn machine() -> Machine {
    Machine::new(Issuer::new("https://id.example.com"))
}

/// Where the released formats are pinned.
pub(crate) fn testdata() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/v1")
}

/// Every golden file by name, in the order in which they apply.
pub(crate) fn golden_files() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(testdata())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort_unstable();
    files
}

/// The golden batches by file name.
pub(crate) fn golden_batches() -> Vec<(String, Batch)> {
    golden_files()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("image"))
        .map(|(name, text)| {
            let batch = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, batch)
        })
        .collect()
}

/// A machine to which all golden batches were applied.
pub(crate) fn golden_machine() -> Machine {
    let mut machine = machine();
    for (name, batch) in golden_batches() {
        for result in machine.apply(&batch).unwrap() {
            result.unwrap_or_else(|reject| panic!("{name}: {reject:?}"));
        }
    }
    machine
}
