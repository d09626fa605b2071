//! The words of a Go file, without its comments.

/// A name, a number, one character of punctuation, or the content of a string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexeme<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
    pub(super) is_string: bool,
}

impl Lexeme<'_> {
    /// Tells whether it is this word, and no string.
    pub(super) fn is(&self, text: &str) -> bool {
        !self.is_string && self.text == text
    }
}

/// Returns the words of `go`; one that is cut by the end of the text ends there.
pub(super) fn lexemes(go: &str) -> impl Iterator<Item = Lexeme<'_>> {
    let mut rest = go;
    let mut line = 1;
    std::iter::from_fn(move || {
        loop {
            let first = rest.chars().next()?;
            let (length, kind) = measure(rest, first);
            let (word, after) = rest.split_at_checked(length)?;
            let starts_at = line;
            line += word.matches('\n').count();
            rest = after;
            let text = match kind {
                Kind::Blank => continue,
                Kind::Word => word,
                Kind::String => unquoted(word, first),
            };
            return Some(Lexeme {
                text,
                line: starts_at,
                is_string: kind == Kind::String,
            });
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Word,
    String,
}

fn measure(rest: &str, first: char) -> (usize, Kind) {
    let until = |end: &str| {
        rest.find(end)
            .map_or(rest.len(), |at| at.saturating_add(end.len()))
    };
    match first {
        _ if rest.starts_with("//") => (until("\n"), Kind::Blank),
        _ if rest.starts_with("/*") => (until("*/"), Kind::Blank),
        '"' | '\'' => (quoted(rest, first), Kind::String),
        '`' => {
            let end = rest.char_indices().skip(1).find(|(_, c)| *c == '`');
            (end.map_or(rest.len(), |(at, _)| at + 1), Kind::String)
        }
        _ if first.is_whitespace() => (first.len_utf8(), Kind::Blank),
        _ if is_of_word(first) => {
            let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            (end, Kind::Word)
        }
        _ => (first.len_utf8(), Kind::Word),
    }
}

/// Returns the length of a string with escapes, quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn unquoted(word: &str, quote: char) -> &str {
    let inner = word.strip_prefix(quote).unwrap_or(word);
    inner.strip_suffix(quote).unwrap_or(inner)
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_no_code() {
        let go = "a(\"b\\\"//\", `c\n/*`) // d\n/* e\n */ 'f' '\\'' g.h";
        let words: Vec<_> = lexemes(go)
            .map(|lexeme| (lexeme.text, lexeme.line, lexeme.is_string))
            .collect();
        assert_eq!(
            words,
            [
                ("a", 1, false),
                ("(", 1, false),
                ("b\\\"//", 1, true),
                (",", 1, false),
                ("c\n/*", 1, true),
                (")", 2, false),
                ("f", 4, true),
                ("\\'", 4, true),
                ("g", 4, false),
                (".", 4, false),
                ("h", 4, false),
            ]
        );
    }
}
