//! What an expression is after parsing, and whether claims meet it.

use std::cmp::Ordering;
use std::fmt;

use regex::Regex;
use serde_json::{Map, Value};

use crate::error::ParseError;
use crate::parser::Parser;
use crate::path::{ClaimPath, Found};

/// A boolean expression over claims, ready to be evaluated.
#[derive(Clone)]
pub struct RequiredClaims {
    source: Box<str>,
    root: Expression,
}

impl RequiredClaims {
    /// Parses an expression and compiles its regular expressions.
    ///
    /// # Errors
    /// [`ParseError`], which says where and what to write instead. Nothing is left to fail later.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        let root = Parser::new(source)?.whole()?;
        Ok(Self {
            source: source.into(),
            root,
        })
    }

    /// Tells whether verified claims meet the expression.
    ///
    /// # Security
    /// This believes the claims: verify the token that they came in first.
    #[must_use]
    pub fn is_met_by(&self, claims: &Map<String, Value>) -> bool {
        self.root.holds(claims)
    }

    /// Returns the expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for RequiredClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequiredClaims").field(&self.source).finish()
    }
}

impl fmt::Display for RequiredClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// A part of an expression that is true or false.
#[derive(Clone, Debug)]
pub(crate) enum Expression {
    /// `a || b`
    Any(Vec<Self>),
    /// `a && b`
    All(Vec<Self>),
    /// `!a`
    Not(Box<Self>),
    /// `a`
    Truth(Operand),
    /// `a==b`
    Compare {
        left: Operand,
        relation: Relation,
        right: Operand,
    },
    /// `a=~'b'`; `negated` is `a!~'b'`.
    Match {
        left: Operand,
        regexp: Regex,
        negated: bool,
    },
}

/// A value in an expression.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Path(ClaimPath),
    Text(Box<str>),
    Number(f64),
    Boolean(bool),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    Less,
    Greater,
}

/// What an operand comes to.
#[derive(Clone, Copy, Debug)]
enum Operated<'a> {
    /// Absent, or null.
    Nothing,
    Boolean(bool),
    Number(f64),
    Text(&'a str),
    /// A list or an object: true, and equal to nothing, not even to itself.
    Container,
}

impl Expression {
    fn holds(&self, claims: &Map<String, Value>) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.holds(claims)),
            Self::All(parts) => parts.iter().all(|part| part.holds(claims)),
            Self::Not(part) => !part.holds(claims),
            Self::Truth(operand) => operand.operate(claims).is_truthy(),
            Self::Compare {
                left,
                relation,
                right,
            } => relation.holds(left.operate(claims), right.operate(claims)),
            Self::Match {
                left,
                regexp,
                negated,
            } => {
                let left = left.operate(claims);
                matches!(left, Operated::Text(text) if regexp.is_match(text) != *negated)
            }
        }
    }
}

impl Operand {
    fn operate<'a>(&'a self, claims: &'a Map<String, Value>) -> Operated<'a> {
        match self {
            Self::Text(text) => Operated::Text(text),
            Self::Number(number) => Operated::Number(*number),
            Self::Boolean(boolean) => Operated::Boolean(*boolean),
            Self::Path(path) => match path.find(claims) {
                Found::Nothing => Operated::Nothing,
                Found::Element => Operated::Boolean(true),
                Found::Value(value) => Operated::of(value),
            },
        }
    }
}

impl<'a> Operated<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Nothing,
            Value::Bool(boolean) => Self::Boolean(*boolean),
            Value::Number(number) => number.as_f64().map_or(Self::Nothing, Self::Number),
            Value::String(text) => Self::Text(text),
            Value::Array(_) | Value::Object(_) => Self::Container,
        }
    }

    fn is_truthy(self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Boolean(boolean) => boolean,
            Self::Number(number) => number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Container => true,
        }
    }

    fn equals(self, other: Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => true,
            (Self::Boolean(left), Self::Boolean(right)) => left == right,
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    /// Numbers by value, texts by their bytes; nothing else has an order.
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.partial_cmp(&right),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

impl Relation {
    fn holds(self, left: Operated<'_>, right: Operated<'_>) -> bool {
        let is = |order| left.order(right) == Some(order);
        match self {
            Self::Equal => left.equals(right),
            Self::NotEqual => !left.equals(right),
            Self::LessOrEqual => left.equals(right) || is(Ordering::Less),
            Self::GreaterOrEqual => left.equals(right) || is(Ordering::Greater),
            Self::Less => is(Ordering::Less),
            Self::Greater => is(Ordering::Greater),
        }
    }
}

#[cfg(test)]
mod tests;
