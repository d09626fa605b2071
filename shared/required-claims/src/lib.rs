//! `requiredClaims`: the boolean expressions over claims that guard the endpoints of the bus.
//!
//! Pure: no I/O, no clock. An expression is parsed once, with its regular expressions compiled, and
//! then evaluated against the claims of each request.
//!
//! ```
//! use microbus_required_claims::RequiredClaims;
//! # use serde_json::json;
//!
//! let guard = RequiredClaims::parse("roles.admin && level>=5 || idp=~'^corp\\.example$'")?;
//! let claims = json!({"roles": ["admin", "manager"], "level": 7});
//! assert!(guard.is_met_by(claims.as_object().unwrap()));
//!
//! let error = RequiredClaims::parse("roles.admin && level=5").unwrap_err();
//! assert_eq!(error.to_string(), "unexpected `=` at byte 20 of the expression");
//! # Ok::<(), microbus_required_claims::ParseError>(())
//! ```
//!
//! # What is promised
//! What both this crate and the Go services accept means the same, so that a guard can move between
//! them; an accepted expression cannot fail later, and neither parsing nor evaluating panics or takes
//! longer than the bounded size allows. Evaluating allocates nothing, except that a regular expression
//! fills its own cache when it first runs.
//!
//! # Where the Go services are unsafe
//! They rewrite text instead of parsing it. Here
//! - a literal is a literal: a claim *named* `5` does not change `level>5`;
//! - a dotted path walks into objects and lists: a claim *named* `roles.admin` is not the role;
//! - a bad regular expression is an error when the expression is parsed, not when a claim meets it;
//! - a text in which they would find an operator, `||`, `&&` or a group is an error, and so are a
//!   regular expression that comes out of a claim and a group that is compared.
//!
//! The words `t`, `T`, `f`, `F`, `inf` and `nan` are literals, as they are for the Go services
//! where no claim has that name.
//!
//! Source: spec: microbus-wire 12.4; spec: verify 7, 8.
// Tests may overflow: they fail then.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod error;
mod expression;
#[doc(hidden)]
pub mod fuzz_entry;
mod literal;
mod parser;
mod path;
mod regexp;

pub use error::{ParseError, ParseErrorKind};
pub use expression::RequiredClaims;
pub use parser::{DEEPEST_GROUP, LONGEST_EXPRESSION, MOST_REGEXPS};
