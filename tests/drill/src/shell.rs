//! Other programs, run to their end within a bound.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

/// Runs a program and gives what it printed.
///
/// # Errors
/// When it cannot be started, takes too long, or fails; with its own words.
pub async fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args);
    output(command).await
}

/// Runs a prepared command and gives what it printed.
///
/// # Errors
/// As [`run`].
pub async fn output(mut command: Command) -> Result<String, String> {
    let shown = format!("{:?}", command.as_std());
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(LIMIT, running)
        .await
        .map_err(|_| format!("{shown} did not end within {} s", LIMIT.as_secs()))?
        .map_err(|error| format!("{shown} cannot be started: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(format!("{shown} failed with {}: {}", output.status, text(&output.stderr)));
    }
    Ok(text(&output.stdout))
}

/// Whether a program can be found.
pub async fn has(program: &str) -> bool {
    run("sh", &["-c", &format!("command -v {program}")]).await.is_ok()
}

/// Splits a line of arguments at blanks and runs it; for commands without any blank inside an argument.
///
/// # Errors
/// As [`run`].
pub async fn line(line: &str) -> Result<String, String> {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    let args: Vec<&str> = words.collect();
    run(program, &args).await
}
