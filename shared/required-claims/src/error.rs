//! What can be wrong with an expression.

#[cfg(doc)]
use crate::{DEEPEST_GROUP, LONGEST_EXPRESSION, MOST_REGEXPS};

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset} of the expression")]
pub struct ParseError {
    /// What is wrong, and what to write instead.
    pub kind: ParseErrorKind,
    /// Bytes before the place, from the start of the expression.
    pub offset: usize,
}

/// What can be wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// More bytes than [`LONGEST_EXPRESSION`].
    #[error("the expression is longer than 4096 bytes")]
    TooLong,
    /// More groups inside one another than [`DEEPEST_GROUP`].
    #[error("more than 64 parentheses inside one another")]
    TooDeep,
    /// More regular expressions than [`MOST_REGEXPS`].
    #[error("more than 32 regular expressions")]
    TooManyRegexps,
    /// The expression ends, or an operator stands, where a claim or a literal is wanted.
    #[error("a claim, a literal or a group is missing")]
    MissingOperand,
    /// Neither a path of claims nor a literal: names are letters, digits and underscores.
    #[error("`{0}` is neither a claim nor a literal")]
    Operand(String),
    /// A number whose form the Go services read and this crate does not.
    #[error("`{0}` is a hexadecimal number; write it as a decimal one")]
    Hexadecimal(String),
    /// A character that cannot stand there.
    #[error("unexpected `{0}`")]
    Unexpected(char),
    /// A quoted text does not end.
    #[error("a quoted text has no end")]
    OpenText,
    /// A parenthesis is not closed.
    #[error("a parenthesis is not closed")]
    OpenGroup,
    /// `!` in front of a comparison, which the Go services would take for a part of its left side.
    #[error("`!` in front of a comparison; put the comparison in parentheses")]
    NegatedComparison,
    /// A quoted text in which the Go services would find an operator.
    #[error("a quoted text holds `{0}`, at which the platform would split it")]
    OperatorInText(&'static str),
    /// A quoted text in which the Go services would find a group.
    #[error(
        "a parenthesis in a quoted text beside another kind of quote, which the platform would take for a group"
    )]
    GroupInText,
    /// What stands right of `=~` or `!~` is not a quoted text.
    #[error("a regular expression must be a quoted text")]
    RegexpNotText,
    /// The regular expression is wrong, too large, or knows more than RE2.
    #[error("the regular expression is wrong: {0}")]
    Regexp(String),
}
