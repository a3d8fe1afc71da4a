//! Rewrites the command line before it is parsed (spec §13.13): `-env` and `-env-file` become long options,
//! and no subcommand means `serve`.
//!
//! Pure; knows nothing about the commands but which options are followed by a value.

use std::ffi::OsString;

/// What runs when no subcommand is named.
const DEFAULT_COMMAND: &str = "serve";

/// The command line as the parser should see it. `args` starts with the program's name; `value_options`
/// are the long and short options (with their dashes) that take the next argument as their value when they
/// stand before the subcommand, for example `--config`.
pub fn normalize(args: impl IntoIterator<Item = OsString>, value_options: &[&str]) -> Vec<OsString> {
    let mut args = args.into_iter();
    let mut out: Vec<OsString> = args.next().into_iter().collect();
    let mut literal = false;
    for arg in args {
        literal = literal || arg == "--";
        out.push(if literal { arg } else { long(arg) });
    }
    if !out.is_empty() && !names_command(out.get(1..).unwrap_or_default(), value_options) {
        out.insert(1, OsString::from(DEFAULT_COMMAND));
    }
    out
}

/// The long form of the two old options, also with `=value`.
fn long(arg: OsString) -> OsString {
    let Some(text) = arg.to_str() else { return arg };
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    if matches!(name, "-env" | "-env-file") { OsString::from(format!("-{text}")) } else { arg }
}

/// True when a word that is no option stands there, or an option that needs no command.
fn names_command(args: &[OsString], value_options: &[&str]) -> bool {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            // What follows belongs to the command that is not named.
            Some("--") => return false,
            Some("-h" | "--help" | "-V" | "--version") => return true,
            Some(option) if option.len() > 1 && option.starts_with('-') => {
                if value_options.contains(&option) {
                    args.next();
                }
            }
            Some(_) | None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(line: &str) -> String {
        let args = line.split(' ').map(OsString::from);
        let out = normalize(args, &["--config", "--env-file", "--set"]);
        out.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    /// Spec §13.13.
    #[test]
    fn old_options_become_long_ones() {
        assert_eq!(normalized("hj serve -env"), "hj serve --env");
        assert_eq!(normalized("hj -env-file x.env config check"), "hj --env-file x.env config check");
        assert_eq!(normalized("hj serve -env-file=x.env"), "hj serve --env-file=x.env");
        assert_eq!(normalized("hj serve --env -envy -e"), "hj serve --env -envy -e");
        assert_eq!(normalized("hj export -- -env"), "hj export -- -env");
    }

    /// Spec §13.13.
    #[test]
    fn no_subcommand_means_serve() {
        assert_eq!(normalized("hj"), "hj serve");
        assert_eq!(normalized("hj -env"), "hj serve --env");
        assert_eq!(normalized("hj --config a.yaml"), "hj serve --config a.yaml");
        assert_eq!(normalized("hj --config=a.yaml --set a.b=c"), "hj serve --config=a.yaml --set a.b=c");
        assert_eq!(normalized("hj -env-file x.env"), "hj serve --env-file x.env");
        assert_eq!(normalized("hj --unknown"), "hj serve --unknown");
    }

    #[test]
    fn named_commands_and_help_stay() {
        for line in [
            "hj serve",
            "hj --config a.yaml config check",
            "hj --set a.b=c migrate",
            "hj typo",
            "hj --help",
            "hj -V",
            "hj --config a.yaml -h",
        ] {
            assert_eq!(normalized(line), line);
        }
    }

    #[test]
    fn an_empty_command_line_stays_empty() {
        assert!(normalize([], &[]).is_empty());
    }

    #[test]
    #[cfg(unix)]
    fn arguments_outside_unicode_pass_through() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = OsString::from_vec(vec![b'-', 0xff]);
        assert_eq!(normalize(["hj".into(), odd.clone()], &[]), vec![OsString::from("hj"), odd]);
    }
}
