//! Reads Rust source far enough to know which paths it names: comments and literals set aside, test
//! modules cut off, `use` trees expanded.

/// A source file of the workspace, as the rules see it.
pub(super) struct Source {
    /// Path from the workspace root, with `/`.
    pub(super) path: String,
    /// Every path the production code names, `::`-joined, `use` trees expanded, as written.
    pub(super) names: Vec<String>,
    /// Every string literal of the production code, unescaped only as far as the rules need it.
    pub(super) literals: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Ident(String),
    PathSep,
    Punct(char),
}

impl Source {
    pub(super) fn read(path: &str, text: &str) -> Self {
        let (mut tokens, literals) = lex(text);
        if is_test_file(path) {
            tokens.clear();
        }
        let production = cut_tests(&tokens);
        let literals = if production.len() == tokens.len() { literals } else { lex(before_tests(text)).1 };
        let literals = if is_test_file(path) { Vec::new() } else { literals };
        Self { path: path.to_owned(), names: names(production), literals }
    }

    /// The module path below `src/`: `src/http/error/leader.rs` → `http`, `error`, `leader`.
    pub(super) fn module(&self) -> Vec<&str> {
        let inside = self.path.rsplit_once("src/").map_or("", |(_, rest)| rest);
        let stem = inside.strip_suffix(".rs").unwrap_or(inside);
        stem.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main")).collect()
    }

    /// The paths that lead to this crate's own modules, from the crate's root on.
    pub(super) fn own_modules(&self) -> impl Iterator<Item = Vec<&str>> {
        let depth = self.module().len();
        self.names.iter().filter_map(move |name| {
            let parts: Vec<&str> = name.split("::").collect();
            let supers = parts.iter().take_while(|part| **part == "super").count();
            match parts.first() {
                Some(&"crate") => Some(parts[1..].to_vec()),
                Some(&"super") if supers >= depth => Some(parts[supers..].to_vec()),
                _ => None,
            }
        })
    }

    /// Whether the code names something at or below `path`, such as `sled` or `std::fs`.
    pub(super) fn uses(&self, path: &str) -> bool {
        self.names
            .iter()
            .any(|name| name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
    }

    /// Whether some path ends in `suffix`, such as `fs::write`.
    pub(super) fn uses_suffix(&self, suffix: &str) -> bool {
        self.names
            .iter()
            .any(|name| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with("::")))
    }
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.ends_with("/testing.rs") || path.contains("/tests/")
}

/// Test modules stand at the end of a file (clippy sees to it), so everything from the first one on is
/// test code.
fn before_tests(text: &str) -> &str {
    let inline = text.match_indices("#[cfg(test)]").find(|(at, _)| {
        let rest = text[*at..].trim_start_matches("#[cfg(test)]").trim_start();
        rest.starts_with("mod ") && rest.lines().next().is_some_and(|line| line.contains('{'))
    });
    inline.map_or(text, |(at, _)| &text[..at])
}

fn cut_tests(tokens: &[Token]) -> &[Token] {
    let ident = |token: Option<&Token>, name: &str| matches!(token, Some(Token::Ident(i)) if i == name);
    let at = (0..tokens.len()).find(|i| {
        let t = |offset: usize| tokens.get(i + offset);
        t(0) == Some(&Token::Punct('#'))
            && ident(t(2), "cfg")
            && ident(t(4), "test")
            && ident(t(7), "mod")
            && t(9) == Some(&Token::Punct('{'))
    });
    &tokens[..at.unwrap_or(tokens.len())]
}

fn lex(text: &str) -> (Vec<Token>, Vec<String>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut literals, mut i) = (Vec::new(), Vec::new(), 0);
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            ('/', '/') => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            ('/', '*') => i = block_comment(&chars, i),
            ('"', _) => {
                let end = string_end(&chars, i + 1);
                literals.push(chars[i + 1..end.min(chars.len())].iter().collect());
                i = end + 1;
            }
            ('\'', _) => i = char_or_lifetime(&chars, i),
            (':', ':') => {
                tokens.push(Token::PathSep);
                i += 2;
            }
            (c, _) if c.is_alphanumeric() || c == '_' => {
                let start = i;
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect();
                let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
                let raw = matches!(word.as_str(), "r" | "br" | "cr") && at(i + hashes) == '"';
                if raw {
                    let close: Vec<char> = std::iter::once('"').chain(vec!['#'; hashes]).collect();
                    let body = i + hashes + 1;
                    let end = (body..chars.len()).find(|e| chars[*e..].starts_with(&close));
                    let end = end.unwrap_or(chars.len());
                    literals.push(chars[body..end].iter().collect());
                    i = end + close.len();
                } else if at(i) != '"' || !matches!(word.as_str(), "b" | "c") {
                    tokens.push(Token::Ident(word));
                }
            }
            (c, _) => {
                if !c.is_whitespace() {
                    tokens.push(Token::Punct(c));
                }
                i += 1;
            }
        }
    }
    (tokens, literals)
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0_usize, start);
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) if depth == 1 => return i + 2,
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
    }
    i
}

fn string_end(chars: &[char], mut i: usize) -> usize {
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i
}

/// `'a'` and `'\n'` are skipped as a whole; of a lifetime only the quote is.
fn char_or_lifetime(chars: &[char], i: usize) -> usize {
    match (chars.get(i + 1), chars.get(i + 2)) {
        (Some('\\'), _) => (i + 3..chars.len()).find(|e| chars[*e] == '\'').map_or(chars.len(), |e| e + 1),
        (Some(_), Some('\'')) => i + 3,
        _ => i + 1,
    }
}

/// Every path in the tokens. A single name counts only after `use` or `extern crate`.
fn names(tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let follows_path = i > 0 && tokens[i - 1] == Token::PathSep;
        match &tokens[i] {
            Token::Ident(word) if word == "use" => i = tree(tokens, i + 1, "", &mut found),
            Token::Ident(word)
                if word == "extern" && tokens.get(i + 1) == Some(&Token::Ident("crate".into())) =>
            {
                i = tree(tokens, i + 2, "", &mut found);
            }
            Token::Ident(_) if !follows_path && tokens.get(i + 1) == Some(&Token::PathSep) => {
                i = tree(tokens, i, "", &mut found);
            }
            Token::Ident(_) | Token::PathSep | Token::Punct(_) => i += 1,
        }
    }
    found
}

/// Expands the `use` tree (or plain path) at `i` below `prefix`; gives where it ends.
fn tree(tokens: &[Token], mut i: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    let mut path = prefix.to_owned();
    loop {
        match tokens.get(i) {
            Some(Token::PathSep) => i += 1,
            Some(Token::Ident(word)) => {
                if !path.is_empty() {
                    path.push_str("::");
                }
                path.push_str(word);
                i += 1;
                if tokens.get(i) != Some(&Token::PathSep) {
                    break;
                }
            }
            Some(Token::Punct('{')) => {
                i += 1;
                while i < tokens.len() && tokens[i] != Token::Punct('}') {
                    let before = i;
                    i = tree(tokens, i, &path, found);
                    // Past a comma or an alias.
                    while i < tokens.len() && !matches!(tokens[i], Token::Punct(',' | '}')) {
                        i += 1;
                    }
                    if tokens.get(i) == Some(&Token::Punct(',')) {
                        i += 1;
                    }
                    assert!(i > before, "a use tree that does not end");
                }
                return i + 1;
            }
            Some(Token::Punct('*')) => {
                i += 1;
                break;
            }
            // `Vec::<T>` and the like: the path ends here.
            Some(Token::Punct(_)) | None => break,
        }
    }
    found.push(path);
    i
}
