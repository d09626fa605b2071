//! How long a certificate that was believed lasts.

use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub(super) enum Judged {
    Lasting { days: i64 },
    Ending { days: i64 },
    Unreadable,
}

pub(super) fn judge(der: &[u8], now: SystemTime) -> Judged {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return Judged::Unreadable;
    };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let left = certificate
        .validity()
        .not_after
        .timestamp()
        .saturating_sub(now);
    let days = left / 86_400;
    if days < LEAST_DAYS {
        Judged::Ending { days }
    } else {
        Judged::Lasting { days }
    }
}

/// Time enough to notice a renewal that fails.
const LEAST_DAYS: i64 = 14;
