//! Documents that a command reads from a file or from standard input.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::failure::Failure;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The text of a file; `-` is standard input.
///
/// # Errors
/// When it cannot be read, is too large or not UTF-8.
pub fn text(path: &Path) -> Result<String, Failure> {
    let failed = |reason: String| Failure::usage(format!("cannot read {}", path.display())).because(reason);
    let source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| failed(error.to_string()))?)
    };
    let mut text = String::new();
    let length = source.take(MAX_FILE + 1).read_to_string(&mut text);
    match length.map(u64::try_from) {
        Ok(Ok(0..=MAX_FILE)) => Ok(text),
        Ok(_) => Err(failed("it is larger than 1 MiB".to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The JSON document in a file; `-` is standard input.
///
/// # Errors
/// When it cannot be read or is not JSON.
pub fn json(path: &Path) -> Result<Value, Failure> {
    serde_json::from_str(&text(path)?).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::usage(format!("{} is not JSON", path.display())).because(format!("it goes wrong at {place}"))
    })
}

/// The JSON object in a file, or an empty one without a file.
///
/// # Errors
/// As [`json`], and when it is no object.
pub fn object(path: Option<&Path>) -> Result<Map<String, Value>, Failure> {
    let Some(path) = path else { return Ok(Map::new()) };
    match json(path)? {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Failure::usage(format!("{} is not a JSON object", path.display()))
                .remedy("write {\"name\": \"…\", …}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_read_and_everything_else_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let good = file("good.json", "{\"name\": \"Acme\"}");
        assert_eq!(object(Some(&good)).unwrap()["name"], "Acme");
        assert!(object(None).unwrap().is_empty());
        let large = file("large.json", &" ".repeat(1 << 20).replace("  ", " {"));
        for bad in [file("list.json", "[]"), file("bad.json", "{"), large, directory.path().join("absent")] {
            let failure = object(Some(&bad)).unwrap_err();
            let name = bad.file_name().unwrap().to_str().unwrap();
            assert!(failure.what.contains(name), "{failure}");
            assert_eq!(failure.exit, super::super::failure::Exit::Usage);
        }
    }
}
