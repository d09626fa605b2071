//! Why a request was not answered as asked.

use microbus_wire::status::ErrorStatus;
use std::borrow::Cow;
use std::fmt;

/// A refusal or failure, with one text for strangers and one for us.
///
/// 4xx texts reach browsers, so the public one is fixed per cause; the detail goes to the log, and into the answer only
/// where answers may show details (deployment LOCAL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Status of the answer.
    pub status: ErrorStatus,
    /// What anybody may read.
    pub public: Cow<'static, str>,
    /// What happened exactly; never holds secrets.
    pub detail: Option<String>,
}

impl Failure {
    /// Makes a failure whose public text says it all.
    #[must_use]
    pub fn new(status: ErrorStatus, public: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            public: public.into(),
            detail: None,
        }
    }

    /// Adds what happened exactly.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// Returns the text of the answer: the detail if `reveal` and there is one, else the public text.
    #[must_use]
    pub fn text(&self, reveal: bool) -> &str {
        match &self.detail {
            Some(detail) if reveal => detail,
            _ => &self.public,
        }
    }
}

impl fmt::Display for Failure {
    /// Shows everything known: for the log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(formatter, "{}: {detail}", self.public),
            None => formatter.write_str(&self.public),
        }
    }
}

impl std::error::Error for Failure {}
