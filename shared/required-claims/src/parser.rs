//! Reads an expression from left to right.
//!
//! ```text
//! any     = all { "||" all }
//! all     = term { "&&" term }
//! term    = { "!" } ( "(" any ")" | operand ) | operand op operand
//! op      = "==" | "!=" | "<=" | ">=" | "=~" | "!~" | "<" | ">"
//! operand = path | text | number | boolean
//! ```
//! Source: spec: verify 7.1.

use crate::error::{ParseError, ParseErrorKind};
use crate::expression::{Expression, Operand, Relation};
use crate::literal::Literal;
use crate::path::ClaimPath;
use crate::regexp;

/// Bytes of the longest expression.
pub const LONGEST_EXPRESSION: usize = 4096;

/// Parentheses that may be open at once.
pub const DEEPEST_GROUP: usize = 64;

/// Regular expressions in one expression.
pub const MOST_REGEXPS: usize = 32;

pub(crate) struct Parser<'s> {
    source: &'s str,
    /// Bytes read.
    at: usize,
    /// Parentheses open.
    depth: usize,
    regexps: usize,
    /// A text held another kind of quote than its own, so that the Go services have lost track of quotes.
    lost_track: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Relation(Relation),
    Match { negated: bool },
}

impl<'s> Parser<'s> {
    pub(crate) fn new(source: &'s str) -> Result<Self, ParseError> {
        let parser = Self {
            source,
            at: 0,
            depth: 0,
            regexps: 0,
            lost_track: false,
        };
        if source.len() > LONGEST_EXPRESSION {
            return Err(parser.error(ParseErrorKind::TooLong));
        }
        Ok(parser)
    }

    /// Reads all that there is.
    pub(crate) fn whole(mut self) -> Result<Expression, ParseError> {
        let expression = self.any()?;
        match self.rest().chars().next() {
            Some(found) => Err(self.error(ParseErrorKind::Unexpected(found))),
            None => Ok(expression),
        }
    }

    fn any(&mut self) -> Result<Expression, ParseError> {
        let mut parts = vec![self.all()?];
        while self.takes("||") {
            parts.push(self.all()?);
        }
        Ok(only(parts, Expression::Any))
    }

    fn all(&mut self) -> Result<Expression, ParseError> {
        let mut parts = vec![self.term()?];
        while self.takes("&&") {
            parts.push(self.term()?);
        }
        Ok(only(parts, Expression::All))
    }

    fn term(&mut self) -> Result<Expression, ParseError> {
        self.blanks();
        let first = self.at;
        let mut bangs = 0_usize;
        while self.takes("!") {
            bangs = bangs.saturating_add(1);
        }
        let inner = if self.takes("(") {
            self.group()?
        } else if let Some(constant) = self.constant() {
            constant
        } else {
            let start = self.at;
            let left = self.operand()?;
            let behind = self.at;
            self.blanks();
            let operator_at = self.at;
            match self.operator() {
                Some(_) if bangs > 0 => {
                    return Err(ParseError {
                        kind: ParseErrorKind::NegatedComparison,
                        offset: first,
                    });
                }
                Some(operator) => return self.comparison(start, left, operator, operator_at),
                None => {
                    self.check_split(start, behind, None)?;
                    Expression::Truth(left)
                }
            }
        };
        Ok(if bangs % 2 == 1 {
            Expression::Not(Box::new(inner))
        } else {
            inner
        })
    }

    /// Reads the rest of a group, whose parenthesis has been read.
    fn group(&mut self) -> Result<Expression, ParseError> {
        if self.depth == DEEPEST_GROUP {
            return Err(self.error(ParseErrorKind::TooDeep));
        }
        self.depth = self.depth.saturating_add(1);
        let inner = self.any()?;
        if !self.takes(")") {
            let found = self.rest().chars().next();
            return Err(
                self.error(found.map_or(ParseErrorKind::OpenGroup, ParseErrorKind::Unexpected))
            );
        }
        self.depth = self.depth.saturating_sub(1);
        Ok(inner)
    }

    /// Reads `true` or `false`, which alone may be spelled in any case.
    fn constant(&mut self) -> Option<Expression> {
        self.blanks();
        let word = self.word();
        let truth = word.eq_ignore_ascii_case("true");
        if !truth && !word.eq_ignore_ascii_case("false") {
            return None;
        }
        let start = self.at;
        self.skip(word.len());
        self.blanks();
        if self.operator().is_some() {
            self.at = start;
            return None;
        }
        Some(Expression::Truth(Operand::Boolean(truth)))
    }

    /// Reads the right side of a comparison.
    fn comparison(
        &mut self,
        start: usize,
        left: Operand,
        operator: Operator,
        operator_at: usize,
    ) -> Result<Expression, ParseError> {
        self.blanks();
        let right_at = self.at;
        let right = self.operand()?;
        self.check_split(start, self.at, Some(operator_at))?;
        let at_right = |kind| ParseError {
            kind,
            offset: right_at,
        };
        match operator {
            Operator::Relation(relation) => Ok(Expression::Compare {
                left,
                relation,
                right,
            }),
            Operator::Match { negated } => {
                let Operand::Text(pattern) = right else {
                    return Err(at_right(ParseErrorKind::RegexpNotText));
                };
                self.regexps = self.regexps.saturating_add(1);
                if self.regexps > MOST_REGEXPS {
                    return Err(at_right(ParseErrorKind::TooManyRegexps));
                }
                let regexp = regexp::compile(&pattern)
                    .map_err(|cause| at_right(ParseErrorKind::Regexp(cause)))?;
                Ok(Expression::Match {
                    left,
                    regexp,
                    negated,
                })
            }
        }
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        self.blanks();
        match self.rest().chars().next() {
            None | Some(')') => Err(self.error(ParseErrorKind::MissingOperand)),
            Some(quote @ ('\'' | '"' | '`')) => self.text(quote),
            Some(found) => {
                let word = self.word();
                if word.is_empty() {
                    let missing = "=!<>|&".contains(found);
                    let unexpected = ParseErrorKind::Unexpected(found);
                    let kind = if missing {
                        ParseErrorKind::MissingOperand
                    } else {
                        unexpected
                    };
                    return Err(self.error(kind));
                }
                let operand = match Literal::parse(word) {
                    Some(Literal::Number(number)) => Operand::Number(number),
                    Some(Literal::Boolean(boolean)) => Operand::Boolean(boolean),
                    Some(Literal::Hexadecimal) => {
                        return Err(self.error(ParseErrorKind::Hexadecimal(word.to_owned())));
                    }
                    None => ClaimPath::parse(word)
                        .map(Operand::Path)
                        .ok_or_else(|| self.error(ParseErrorKind::Operand(word.to_owned())))?,
                };
                self.skip(word.len());
                Ok(operand)
            }
        }
    }

    /// Reads a quoted text; nothing in it is an escape.
    fn text(&mut self, quote: char) -> Result<Operand, ParseError> {
        let start = self.at;
        self.skip(quote.len_utf8());
        let Some((text, _)) = self.rest().split_once(quote) else {
            return Err(ParseError {
                kind: ParseErrorKind::OpenText,
                offset: start,
            });
        };
        for connective in CONNECTIVES {
            if let Some(inside) = text.find(connective) {
                let offset = self.at.saturating_add(inside);
                return Err(ParseError {
                    kind: ParseErrorKind::OperatorInText(connective),
                    offset,
                });
            }
        }
        if !self.keeps_track(quote, text) {
            return Err(ParseError {
                kind: ParseErrorKind::GroupInText,
                offset: start,
            });
        }
        self.skip(text.len().saturating_add(quote.len_utf8()));
        Ok(Operand::Text(text.into()))
    }

    /// Tells whether the Go services, too, take each parenthesis in this text for a part of it.
    ///
    /// They find groups by tracking quotes from the left, and another kind of quote inside a text switches what
    /// they wait for.
    fn keeps_track(&mut self, quote: char, text: &str) -> bool {
        let (mut open, mut groups) = (Some(quote), self.lost_track && text.contains(['(', ')']));
        for c in text.chars() {
            match c {
                '(' | ')' => groups |= open.is_none(),
                '\'' | '"' | '`' => {
                    self.lost_track = true;
                    open = if open == Some(c) { None } else { Some(c) };
                }
                _ => {}
            }
        }
        !groups
    }

    /// Makes sure that the Go services split this term at the same place, or not at all: they take the
    /// first operator *of their list* that occurs anywhere in it, also in a quoted text.
    fn check_split(
        &self,
        start: usize,
        end: usize,
        split: Option<usize>,
    ) -> Result<(), ParseError> {
        let term = self.source.get(start..end).unwrap_or_default();
        let found = OPERATORS
            .iter()
            .find_map(|(text, _)| Some((*text, term.find(text)?)));
        match found.map(|(text, inside)| (text, start.saturating_add(inside))) {
            Some((text, offset)) if Some(offset) != split => Err(ParseError {
                kind: ParseErrorKind::OperatorInText(text),
                offset,
            }),
            _ => Ok(()),
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        let (text, operator) = OPERATORS
            .iter()
            .find(|(text, _)| self.rest().starts_with(text))?;
        self.skip(text.len());
        Some(*operator)
    }

    /// Returns the characters ahead of which numbers and paths are made, without reading them.
    fn word(&self) -> &'s str {
        let rest = self.rest();
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '+' | '-');
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Reads blanks and `token`, if it comes next.
    fn takes(&mut self, token: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.skip(token.len());
        }
        found
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.skip(rest.len().saturating_sub(rest.trim_ascii_start().len()));
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError {
            kind,
            offset: self.at,
        }
    }
}

/// Wraps several parts; one part is itself.
fn only(mut parts: Vec<Expression>, wrap: fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.pop(), parts.is_empty()) {
        (Some(part), true) => part,
        (last, _) => {
            parts.extend(last);
            wrap(parts)
        }
    }
}

/// All operators, in the order in which the Go services look for them.
const OPERATORS: [(&str, Operator); 8] = [
    ("==", Operator::Relation(Relation::Equal)),
    ("!=", Operator::Relation(Relation::NotEqual)),
    ("<=", Operator::Relation(Relation::LessOrEqual)),
    (">=", Operator::Relation(Relation::GreaterOrEqual)),
    ("=~", Operator::Match { negated: false }),
    ("!~", Operator::Match { negated: true }),
    ("<", Operator::Relation(Relation::Less)),
    (">", Operator::Relation(Relation::Greater)),
];

const CONNECTIVES: [&str; 2] = ["||", "&&"];
