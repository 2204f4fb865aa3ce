//! A scanner for the imports of Rust source text. It reads the text within macros too.

/// The code without comments and without the content of literals.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::new();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => {
                code.push(' ');
                comment(rest)
            }
            ['r', '"' | '#', ..] if !code.ends_with(is_word) && raw(rest).is_some() => {
                code.push_str("\"\"");
                raw(rest).unwrap_or(1)
            }
            ['"', ..] => {
                code.push_str("\"\"");
                quoted(rest)
            }
            // A character literal: a quote, one character or an escape, and a quote. Otherwise the quote starts a lifetime.
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => {
                code.push_str("''");
                quoted(rest)
            }
            [other, ..] => {
                code.push(*other);
                1
            }
            [] => break,
        };
        at += length;
    }
    code
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a block comment. They nest.
fn comment(text: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < text.len() {
        match text[at..] {
            ['/', '*', ..] => (at, depth) = (at + 2, depth + 1),
            ['*', '/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a literal between quotes.
fn quoted(text: &[char]) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != text[0] {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of a raw string literal, if it is one.
fn raw(text: &[char]) -> Option<usize> {
    let hashes = text[1..].iter().take_while(|c| **c == '#').count();
    let start = 2 + hashes;
    if text.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let length = text[start..].windows(end.len()).position(|window| window == end)?;
    Some(start + length + end.len())
}

/// The words and signs of a file. `::` is one sign.
pub struct Tokens(Vec<String>);

impl Tokens {
    pub fn of(text: &str) -> Self {
        let mut tokens: Vec<String> = Vec::new();
        let mut joined = false;
        for c in code(text).chars() {
            match tokens.last_mut() {
                Some(last) if joined && is_word(c) && last.ends_with(is_word) => last.push(c),
                Some(last) if joined && c == ':' && last == ":" => last.push(c),
                _ if c.is_whitespace() => {}
                _ => tokens.push(c.to_string()),
            }
            joined = !c.is_whitespace();
        }
        Self(tokens)
    }

    /// Whether a name occurs.
    pub fn names(&self, name: &str) -> bool {
        self.0.iter().any(|token| token == name)
    }

    /// The imports of a module with this text, from this crate and from the crates in the table, each as a path of at most two
    /// parts.
    pub fn imports(&self, module: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        // The open braces, and which of them belong to inline modules.
        let (mut depth, mut inline) = (0_usize, Vec::new());
        for (at, token) in self.0.iter().enumerate() {
            match token.as_str() {
                "{" => {
                    depth += 1;
                    if at >= 2 && self.is(at - 2, "mod") {
                        inline.push(depth);
                    }
                }
                "}" => {
                    if inline.last() == Some(&depth) {
                        inline.pop();
                    }
                    depth = depth.saturating_sub(1);
                }
                _ => {}
            }
            // Only at the beginning of a path. Names within the braces of an import tree are read with their root.
            let begins = at == 0 || !self.is(at - 1, "::");
            let nested = self.is_nested(at);
            let root: Option<Vec<String>> = match token.as_str() {
                _ if !begins || nested => None,
                "crate" | "homeroom" => Some(Vec::new()),
                "super" | "self" if self.is(at + 1, "::") => {
                    let mut own: Vec<String> = module.iter().map(|&part| part.to_owned()).collect();
                    own.extend(inline.iter().map(|_| "inline".to_owned()));
                    if token == "super" {
                        own.pop();
                    }
                    Some(own)
                }
                "poem" | "poem_openapi" | "hyper" | "hyper_util" | "http" if self.is(at + 1, "::") => {
                    Some(vec!["poem".into()])
                }
                "migration" if self.is(at + 1, "::") => Some(vec!["migration".into()]),
                _ => None,
            };
            if let Some(root) = root {
                self.walk(at + 1, &root, &mut found);
            }
        }
        let own = module.first().copied().unwrap_or_default();
        let shown = found.into_iter().filter(|path| path.first().is_some_and(|part| part != own));
        shown.map(|path| path.into_iter().take(2).collect::<Vec<_>>().join("::")).collect()
    }

    fn is(&self, at: usize, token: &str) -> bool {
        self.0.get(at).is_some_and(|found| found == token)
    }

    /// Whether a token is within the braces of an import tree, which is read with its root.
    fn is_nested(&self, at: usize) -> bool {
        let mut depth = 0_usize;
        for before in (0..at).rev() {
            match self.0[before].as_str() {
                "}" => depth += 1,
                "{" if depth > 0 => depth -= 1,
                // An open brace belongs to an import tree if `::` precedes it.
                "{" => return before > 0 && self.is(before - 1, "::"),
                ";" if depth == 0 => return false,
                _ => {}
            }
        }
        false
    }

    /// Reads the rest of a path or of an import tree after `root`. Returns the position after it.
    fn walk(&self, mut at: usize, root: &[String], found: &mut Vec<Vec<String>>) -> usize {
        let mut path = root.to_vec();
        while self.is(at, "::") {
            at += 1;
            let Some(token) = self.0.get(at) else { break };
            if token == "{" {
                return self.branches(at + 1, &path, found);
            }
            push(&mut path, token);
            at += 1;
        }
        found.push(path);
        at
    }

    /// Reads the branches of an import tree, up to its closing brace.
    fn branches(&self, mut at: usize, root: &[String], found: &mut Vec<Vec<String>>) -> usize {
        while let Some(token) = self.0.get(at) {
            match token.as_str() {
                "}" => return at + 1,
                "," => at += 1,
                // In `x as y` the new name is not a path.
                "as" => at += 2,
                _ => {
                    let mut path = root.to_vec();
                    push(&mut path, token);
                    at = self.walk(at + 1, &path, found);
                }
            }
        }
        at
    }
}

/// Follows one segment of a path.
fn push(path: &mut Vec<String>, step: &str) {
    match step {
        "super" => {
            path.pop();
        }
        "self" => {}
        step => path.push(step.to_owned()),
    }
}
