//! Finds the programs of PostgreSQL on this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::PrivatePostgresError;

/// The programs that are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
}

/// Directories whose sub-directories are versions: `{0}/{version}/bin`.
const VERSIONED: [&str; 2] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql"];

/// Directories with one version.
const SINGLE: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/usr/local/pgsql/bin", "/opt/homebrew/bin"];

/// The programs in `given`; without it those of the highest version among the usual directories, else those that
/// `pg_config` on the search path names.
pub(super) async fn find_binaries(given: Option<&Path>) -> Result<Binaries, PrivatePostgresError> {
    if let Some(directory) = given {
        return in_directory(directory)
            .ok_or_else(|| PrivatePostgresError::NotInstalled { searched: directory.display().to_string() });
    }
    let mut versions: Vec<(u32, PathBuf)> =
        VERSIONED.iter().flat_map(|root| versions_in(Path::new(root))).collect();
    versions.sort();
    let versioned = versions.into_iter().rev().map(|(_, directory)| directory);
    let single = SINGLE.iter().map(PathBuf::from);
    if let Some(found) = versioned.chain(single).find_map(|directory| in_directory(&directory)) {
        return Ok(found);
    }
    let told = timeout(
        Duration::from_secs(5),
        Command::new("pg_config").arg("--bindir").kill_on_drop(true).output(),
    );
    if let Ok(Ok(output)) = told.await
        && let Some(found) = in_directory(Path::new(String::from_utf8_lossy(&output.stdout).trim()))
    {
        return Ok(found);
    }
    let searched = format!("{}/*/bin, {} or by pg_config", VERSIONED.join("/*/bin, "), SINGLE.join(", "));
    Err(PrivatePostgresError::NotInstalled { searched })
}

fn in_directory(directory: &Path) -> Option<Binaries> {
    let binaries = Binaries { initdb: directory.join("initdb"), postgres: directory.join("postgres") };
    (binaries.initdb.is_file() && binaries.postgres.is_file()).then_some(binaries)
}

fn versions_in(root: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(root) else { return Vec::new() };
    let version = |path: PathBuf| {
        let number = path.file_name()?.to_str()?.split('.').next()?.parse().ok()?;
        Some((number, path.join("bin")))
    };
    entries.filter_map(|entry| version(entry.ok()?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_given_directory_without_the_programs_is_named_with_the_remedy() {
        let empty = tempfile::tempdir().unwrap();
        let error = find_binaries(Some(empty.path())).await.unwrap_err().to_string();
        assert!(error.contains(&empty.path().display().to_string()), "{error}");
        assert!(error.contains("install the package postgresql"), "{error}");
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "16", "old"] {
            std::fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let mut found: Vec<u32> = versions_in(root.path()).into_iter().map(|(number, _)| number).collect();
        found.sort_unstable();
        assert_eq!(found, [9, 15, 16]);
    }
}
