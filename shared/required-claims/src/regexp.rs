//! RE2 patterns, as Go reads them, in the syntax of the crate `regex`.
//!
//! Both are linear and know almost the same constructs; the differences are written out here: `\w`,
//! `\d`, `\s` and `\b` are ASCII, `\Q…\E` quotes, a repetition counts to 1000, and a class has no
//! operators and no class inside. What RE2 does not know is an error, and so are octal escapes and
//! a literal `{` without backslash, which it knows. Source: spec: verify 7.4.

use std::iter::Peekable;
use std::str::Chars;

use regex::{Regex, RegexBuilder};

/// Compiles a pattern of Go; the error says what is wrong with it.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    let mut translator = Translator {
        rest: pattern.chars().peekable(),
        out: String::new(),
    };
    translator.pattern()?;
    RegexBuilder::new(&translator.out)
        .size_limit(LARGEST_PROGRAM)
        .dfa_size_limit(LARGEST_PROGRAM)
        .nest_limit(DEEPEST)
        .build()
        .map_err(|error| {
            if matches!(error, regex::Error::CompiledTooBig(_)) {
                return "it is too large when compiled".to_owned();
            }
            last_line(&error.to_string()).to_owned()
        })
}

/// The cause in a message of `regex`, which shows the whole pattern first.
fn last_line(message: &str) -> &str {
    let line = message.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line)
}

struct Translator<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
}

impl Translator<'_> {
    fn pattern(&mut self) -> Result<(), String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '{' => self.repetition()?,
                '(' if self.takes('?') => self.flags()?,
                _ => self.out.push(c),
            }
        }
        Ok(())
    }

    /// Translates what follows a backslash outside of a class.
    fn escape(&mut self) -> Result<(), String> {
        match self.rest.next().ok_or("a backslash ends it")? {
            'Q' => self.quoted(),
            'b' => self.out.push_str(r"(?-u:\b)"),
            'B' => self.out.push_str(r"(?-u:\B)"),
            c @ ('A' | 'z') => self.out.extend(['\\', c]),
            c @ ('p' | 'P') => self.property(c)?,
            c => match perl_class(c) {
                Some(class) => self.out.push_str(class),
                None => {
                    let literal = self.character(c)?;
                    self.literal(literal);
                }
            },
        }
        Ok(())
    }

    /// Copies what is between `\Q` and `\E`, or the end.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.takes('E') {
                return;
            }
            self.literal(c);
        }
    }

    /// Copies `\pN` or `\p{Greek}`.
    fn property(&mut self, letter: char) -> Result<(), String> {
        self.out.extend(['\\', letter]);
        let first = self.rest.next().ok_or("a Unicode class without a name")?;
        self.out.push(first);
        if first == '{' {
            let closed = self.rest.by_ref().any(|c| {
                self.out.push(c);
                c == '}'
            });
            return closed
                .then_some(())
                .ok_or_else(|| "a Unicode class is not closed".to_owned());
        }
        Ok(())
    }

    /// Returns the character that a backslash and `c` stand for.
    fn character(&mut self, c: char) -> Result<char, String> {
        Ok(match c {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => return self.hexadecimal(),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            c => return Err(format!("RE2 knows no escape `\\{c}`")),
        })
    }

    /// Reads `41` or `{41}` behind `\x`.
    fn hexadecimal(&mut self) -> Result<char, String> {
        let digits: String = if self.takes('{') {
            self.rest.by_ref().take_while(|c| *c != '}').collect()
        } else {
            self.rest.by_ref().take(2).collect()
        };
        let is_hexadecimal = digits.chars().all(|c| c.is_ascii_hexdigit());
        let code = u32::from_str_radix(&digits, 16)
            .ok()
            .filter(|_| is_hexadecimal);
        code.and_then(char::from_u32)
            .ok_or_else(|| format!("`\\x{digits}` is no character"))
    }

    /// Translates a class, whose bracket has been read, member by member.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.takes('^') {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let c = self.rest.next().ok_or(OPEN_CLASS)?;
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.rest.peek() == Some(&':') => self.named_class()?,
                _ => self.member(c)?,
            }
            first = false;
        }
    }

    /// Translates a character, a range or an escaped class.
    fn member(&mut self, c: char) -> Result<(), String> {
        if c == '\\' {
            let escaped = self.rest.peek().copied().ok_or("a backslash ends it")?;
            if let Some(class) = perl_class(escaped) {
                self.rest.next();
                self.out.push_str(class);
                return Ok(());
            }
            if let 'p' | 'P' = escaped {
                self.rest.next();
                return self.property(escaped);
            }
        }
        let low = self.class_character(c)?;
        self.code(low);
        let mut ahead = self.rest.clone();
        if ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']') {
            self.rest = ahead;
            let c = self.rest.next().ok_or(OPEN_CLASS)?;
            let high = self.class_character(c)?;
            if high < low {
                return Err(format!("the range `{low}-{high}` runs backwards"));
            }
            self.out.push('-');
            self.code(high);
        }
        Ok(())
    }

    fn class_character(&mut self, c: char) -> Result<char, String> {
        if c != '\\' {
            return Ok(c);
        }
        let escaped = self.rest.next().ok_or("a backslash ends it")?;
        self.character(escaped)
    }

    /// Copies `[:alpha:]`, whose bracket has been read.
    fn named_class(&mut self) -> Result<(), String> {
        self.rest.next();
        let name: String = self.rest.by_ref().take_while(|c| *c != ':').collect();
        let plain = name.strip_prefix('^').unwrap_or(&name);
        if !self.takes(']') || !NAMED_CLASSES.contains(&plain) {
            return Err(format!("RE2 knows no class `[:{name}:]`"));
        }
        self.out.push_str("[:");
        self.out.push_str(&name);
        self.out.push_str(":]");
        Ok(())
    }

    /// Copies `{2}`, `{2,}` or `{2,3}`, whose brace has been read.
    fn repetition(&mut self) -> Result<(), String> {
        let mut counts = String::new();
        let closed = self.rest.by_ref().any(|c| {
            let end = c == '}';
            if !end {
                counts.push(c);
            }
            end
        });
        let (least, most) = counts.split_once(',').unwrap_or((&counts, ""));
        let count = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<u16>().unwrap_or(u16::MAX))
        };
        let most = if most.is_empty() {
            count(least)
        } else {
            count(most)
        };
        let (true, Some(least), Some(most)) = (closed, count(least), most) else {
            return Err(r"a `{` that begins no repetition; write `\{`".to_owned());
        };
        if least.max(most) > MOST_REPETITIONS {
            return Err(format!("a repetition counts to {MOST_REPETITIONS} at most"));
        }
        self.out.extend(["{", &counts, "}"]);
        Ok(())
    }

    /// Translates what follows `(?`: flags, or the name of a group.
    fn flags(&mut self) -> Result<(), String> {
        self.out.push_str("(?");
        let flags: String =
            std::iter::from_fn(|| self.rest.next_if(|c| !matches!(c, ':' | ')' | '<'))).collect();
        let named = matches!(&*flags, "" | "P") && self.rest.peek() == Some(&'<');
        if named {
            let mut ahead = self.rest.clone();
            ahead.next();
            if matches!(ahead.next(), Some('=' | '!')) {
                return Err("RE2 cannot look behind".to_owned());
            }
        } else if flags.starts_with(['=', '!']) {
            return Err("RE2 cannot look ahead".to_owned());
        } else if !flags
            .chars()
            .all(|c| matches!(c, 'i' | 'm' | 's' | 'U' | '-'))
        {
            return Err(format!("RE2 knows no flags `(?{flags}`"));
        }
        self.out.push_str(&flags);
        Ok(())
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    /// Writes a character that stands for itself.
    fn literal(&mut self, c: char) {
        self.out
            .push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    /// Writes a character by its number, since more than `]` is special in a class of the crate.
    fn code(&mut self, c: char) {
        self.out.push_str(&format!(r"\x{{{:X}}}", u32::from(c)));
    }
}

/// ASCII only; `\s` without the vertical tab. Classes in brackets may stand in other classes too.
fn perl_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        _ => return None,
    })
}

const OPEN_CLASS: &str = "a `[` is not closed";

const NAMED_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// As in RE2.
const MOST_REPETITIONS: u16 = 1000;

/// Bytes of a compiled pattern, and of what it remembers while matching.
const LARGEST_PROGRAM: usize = 512 * 1024;

/// Groups and classes inside one another.
const DEEPEST: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, text, matches) in [
            (r"^\w+$", "bé", false),
            (r"^\W+$", "é", true),
            (r"^\d$", "\u{663}", false),
            (r"^\s$", "\u{b}", false),
            (r"^[\s\d]+$", "1 2", true),
            (r"^[^\s]+$", "1 2", false),
            (r"\bé\b", "é", false),
            (r"a\b", "aé", true),
            (r"a\B", "ab", true),
            (r"\Qa.b\E", "a.b", true),
            (r"\Qa.b\E.", "axbc", false),
            (r"\Q[x", "[x", true),
            ("b$", "b\n", false),
            ("(?m)b$", "b\n", true),
            (r"b\z", "b", true),
            ("(?i)BAR", "bar", true),
            ("(?i:B)AR", "bAR", true),
            ("(?s)a.b", "a\nb", true),
            ("a.b", "a\nb", false),
            ("(?P<name>a)", "a", true),
            ("(?<name>a)", "a", true),
            (r"\<a\>", "<a>", true),
            (r"\x41\x{e9}", "Aé", true),
            (r"\pL", "é", true),
            (r"[\p{Greek}]", "α", true),
            ("[]a]+", "]", true),
            ("[^]a]", "]", false),
            ("[[a]", "[", true),
            ("[a-]", "-", true),
            ("[+--]", ",", true),
            ("[a~~b]", "~", true),
            ("[[:alpha:]_]", "_", true),
            ("[[:^alpha:]]", "a", false),
            ("^[a-c]{2,3}$", "abc", true),
            ("x{1000}", "x", false),
            (r"\{", "{", true),
            (r"[\]\-\\]", "\\", true),
        ] {
            let regexp = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(regexp.is_match(text), matches, "{pattern} on {text:?}");
        }
    }

    #[test]
    fn what_re2_does_not_know_is_an_error() {
        for (pattern, cause) in [
            ("[bad", "a `[` is not closed"),
            ("b(?=ar)", "RE2 cannot look ahead"),
            ("b(?!ar)", "RE2 cannot look ahead"),
            ("(?<=b)", "RE2 cannot look behind"),
            ("(?x) a", "RE2 knows no flags `(?x`"),
            ("(?u)a", "RE2 knows no flags `(?u`"),
            ("x{1001}", "a repetition counts to 1000 at most"),
            ("x{1,99999999999}", "a repetition counts to 1000 at most"),
            ("x{ 2}", r"a `{` that begins no repetition; write `\{`"),
            ("x{", r"a `{` that begins no repetition; write `\{`"),
            (r"(a)\1", r"RE2 knows no escape `\1`"),
            (r"\u0041", r"RE2 knows no escape `\u`"),
            (r"\Z", r"RE2 knows no escape `\Z`"),
            (r"\é", r"RE2 knows no escape `\é`"),
            (r"\xg1", r"`\xg1` is no character"),
            (r"\x{D800}", r"`\xD800` is no character"),
            ("a\\", "a backslash ends it"),
            ("[z-a]", "the range `z-a` runs backwards"),
            ("[[:any:]]", "RE2 knows no class `[:any:]`"),
            (r"\p{Greek", "a Unicode class is not closed"),
            (r"(\pL{1000}){1000}", "it is too large when compiled"),
            ("(", "unclosed group"),
            ("*", "repetition operator missing expression"),
        ] {
            assert_eq!(compile(pattern).unwrap_err(), cause, "{pattern}");
        }
    }
}
