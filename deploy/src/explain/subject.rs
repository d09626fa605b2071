//! A subject before the broker: which part of it differs from what the credentials grant.
//!
//! Source: spec: deploy 1, 2.1.

use super::{Explanation, Fact, quoted};
use crate::grants::Verb;
use crate::jwt::Jwt;
use crate::permissions::covers;
use crate::refusal::Reason;
use microbus_wire::Trust;

/// What one direction of a connection may do: all that `allow` covers (everything if it is empty), but nothing that
/// `deny` covers.
#[derive(Debug, Default)]
struct Lists {
    allow: Vec<Grant>,
    deny: Vec<Grant>,
}

/// A pattern of subjects, and for a subscription perhaps the one queue group that may be used.
#[derive(Debug)]
struct Grant {
    pattern: String,
    queue: Option<String>,
}

/// What credentials grant.
#[derive(Debug)]
pub struct Grants {
    publish: Lists,
    subscribe: Lists,
}

impl Grants {
    /// Reads the lists of a user's JWT.
    #[must_use]
    pub fn of(user: &Jwt) -> Self {
        let grants = |path: &[&str]| user.strings(path).into_iter().map(Grant::parse).collect();
        let lists = |verb| Lists {
            allow: grants(&[verb, "allow"]),
            deny: grants(&[verb, "deny"]),
        };
        Self {
            publish: lists("pub"),
            subscribe: lists("sub"),
        }
    }

    /// Explains why the broker refuses a connection with these grants `verb` at `subject`.
    #[must_use]
    pub fn explain(&self, verb: Verb, subject: &str, queue: Option<&str>) -> Explanation {
        let lists = match verb {
            Verb::Publish => &self.publish,
            Verb::Subscribe => &self.subscribe,
        };
        let reason = lists
            .general(subject, queue)
            .or_else(|| addressing(verb, subject))
            .unwrap_or_else(|| match verb {
                Verb::Publish => self.publishing(subject),
                Verb::Subscribe => self.subscribing(subject),
            });
        let mut facts = subject_facts(verb, subject, queue);
        facts.extend(self.own_host().map(|own| Fact::new("own host", own)));
        let is_call = matches!(
            reason,
            Reason::PortNotGranted
                | Reason::SlotNotGranted
                | Reason::MethodNotGranted
                | Reason::PathNotGranted
        );
        let at_host = self
            .nearest_call(subject)
            .filter(|_| is_call && verb == Verb::Publish);
        if let Some(nearest) = at_host.or_else(|| lists.nearest(subject, |_| true))
            && reason != Reason::GrantedHere
        {
            facts.push(Fact::new("nearest grant", &*nearest.pattern));
            let difference = nearest.difference(subject);
            facts.extend(difference.map(|difference| difference.fact()));
        }
        Explanation::refused(reason, facts)
    }

    fn publishing(&self, subject: &str) -> Reason {
        let segment = |index| segment(subject, index);
        let is_own = self.own_host().is_none_or(|own| segment(SOURCE) == own);
        match (is_own, segment(TRUST)) {
            _ if !self.publish.has_plane(segment(PLANE)) => Reason::PlaneDiffers,
            (false, "reply") => Reason::ReplySourceNotOwn,
            (false, _) => Reason::SourceNotOwn,
            (true, trust) => match self.nearest_call(subject) {
                Some(nearest) => nearest.reason(subject),
                None if trust == "danger" => Reason::DangerNotGranted,
                None => Reason::DestinationNotGranted,
            },
        }
    }

    /// Returns the nearest grant of a call to the host of `subject` that is as dangerous.
    fn nearest_call(&self, subject: &str) -> Option<&Grant> {
        let (trust, host) = (segment(subject, TRUST), segment(subject, DESTINATION));
        self.publish
            .nearest(subject, |grant| grant.names_host(trust, host))
    }

    fn subscribing(&self, subject: &str) -> Reason {
        let segment = |index| segment(subject, index);
        let is_own = self
            .own_host()
            .is_none_or(|own| segment(DESTINATION) == own);
        let takes_in_a_grant = |grant: &Grant| covers(subject, &grant.pattern);
        if self.subscribe.allow.iter().any(takes_in_a_grant) {
            return Reason::SubscriptionTooBroad;
        }
        match (segment(TRUST), segment(DESTINATION)) {
            _ if !self.subscribe.has_plane(segment(PLANE)) => Reason::PlaneDiffers,
            ("reply", _) if !is_own => Reason::RepliesOfOther,
            (_, "all") => Reason::BroadcastPort,
            _ if !is_own => Reason::SubscriptionOfOther,
            ("danger", _) => Reason::OwnDangerNotGranted,
            _ => self
                .subscribe
                .nearest(subject, |_| true)
                .map_or(Reason::DestinationNotGranted, |nearest| {
                    nearest.reason(subject)
                }),
        }
    }

    /// Returns the segment of the host that the credentials are for: the only source that they may publish as.
    fn own_host(&self) -> Option<&str> {
        let sources = self
            .publish
            .allow
            .iter()
            .map(|grant| segment(&grant.pattern, SOURCE));
        sources
            .into_iter()
            .find(|source| !matches!(*source, "" | "*" | ">"))
    }
}

/// Explains what can be said of a refused subject without the credentials.
#[must_use]
pub fn explain_without_grants(verb: Verb, subject: &str, queue: Option<&str>) -> Explanation {
    let facts = subject_facts(verb, subject, queue);
    if let Some(reason) = addressing(verb, subject) {
        return Explanation::refused(reason, facts);
    }
    Explanation::unknown(
        "The credentials of the connection do not grant this subject; which part of it differs needs their list",
        "Give --creds FILE, the credentials of the process that wrote the line.",
        facts,
    )
}

impl Lists {
    /// Returns the reason that needs no knowledge of the bus.
    fn general(&self, subject: &str, queue: Option<&str>) -> Option<Reason> {
        if self.deny.iter().any(|denied| denied.allows(subject, queue)) {
            return Some(Reason::Denied);
        }
        if self.allow.is_empty() || self.allow.iter().any(|grant| grant.allows(subject, queue)) {
            return Some(Reason::GrantedHere);
        }
        let in_another_queue = |grant: &Grant| covers(&grant.pattern, subject);
        self.allow
            .iter()
            .any(in_another_queue)
            .then_some(Reason::QueueNotGranted)
    }

    fn has_plane(&self, plane: &str) -> bool {
        self.allow.iter().any(|grant| {
            matches!(segment(&grant.pattern, PLANE), "*" | ">")
                || segment(&grant.pattern, PLANE) == plane
        })
    }

    /// Returns the grant that differs from `subject` in the fewest segments and there as late as can be.
    fn nearest(&self, subject: &str, which: impl Fn(&Grant) -> bool) -> Option<&Grant> {
        let near = |grant: &&Grant| {
            let first = grant
                .difference(subject)
                .map_or(usize::MAX, |difference| difference.index);
            (grant.differences(subject), usize::MAX - first)
        };
        self.allow
            .iter()
            .filter(|grant| which(grant))
            .min_by_key(near)
    }
}

impl Grant {
    fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            None => Self {
                pattern: text.to_owned(),
                queue: None,
            },
            Some((pattern, queue)) => Self {
                pattern: pattern.to_owned(),
                queue: Some(queue.trim().to_owned()),
            },
        }
    }

    fn allows(&self, subject: &str, queue: Option<&str>) -> bool {
        let queue_fits = match (&self.queue, queue) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(granted), Some(queue)) => covers(granted, queue),
        };
        queue_fits && covers(&self.pattern, subject)
    }

    /// Tells whether it is a grant at the host itself, and not only at everybody's control port.
    fn names_host(&self, trust: &str, host: &str) -> bool {
        let named = segment(&self.pattern, DESTINATION);
        segment(&self.pattern, TRUST) == trust && (named == "*" || named == host)
    }

    fn pairs<'a>(&'a self, subject: &'a str) -> impl Iterator<Item = (usize, &'a str, &'a str)> {
        let mut granted = self.pattern.split('.');
        let mut asked = subject.split('.');
        let pairs = std::iter::from_fn(move || {
            let pair = (granted.next(), asked.next());
            if pair == (None, None) {
                return None;
            }
            Some((pair.0.unwrap_or_default(), pair.1.unwrap_or_default()))
        });
        let rest_is_granted = |pair: &(&str, &str)| pair.0 == ">" && !pair.1.is_empty();
        pairs
            .take_while(move |pair| !rest_is_granted(pair))
            .enumerate()
            .map(|(index, (granted, asked))| (index, granted, asked))
    }

    fn difference<'a>(&'a self, subject: &'a str) -> Option<Difference<'a>> {
        self.pairs(subject)
            .find(|(_, granted, asked)| differ(granted, asked))
            .map(|(index, granted, asked)| Difference {
                index,
                granted,
                asked,
            })
    }

    fn differences(&self, subject: &str) -> usize {
        self.pairs(subject)
            .filter(|(_, granted, asked)| differ(granted, asked))
            .count()
    }

    /// Returns the reason that goes with the first segment that differs.
    fn reason(&self, subject: &str) -> Reason {
        match self.difference(subject).map(|difference| difference.index) {
            Some(PLANE) => Reason::PlaneDiffers,
            Some(TRUST | PORT) => Reason::PortNotGranted,
            Some(SOURCE) => Reason::SourceNotOwn,
            Some(DESTINATION) => Reason::DestinationNotGranted,
            Some(SLOT) => Reason::SlotNotGranted,
            Some(METHOD) => Reason::MethodNotGranted,
            Some(_) | None => Reason::PathNotGranted,
        }
    }
}

/// The first segment in which a subject and a grant differ.
struct Difference<'a> {
    index: usize,
    granted: &'a str,
    asked: &'a str,
}

impl Difference<'_> {
    fn fact(&self) -> Fact {
        let name = SEGMENTS.get(self.index).copied().unwrap_or("path");
        let word = |segment: &str| match segment {
            "" => "nothing".to_owned(),
            segment => quoted(segment),
        };
        let number = self.index.saturating_add(1);
        let (asked, granted) = (word(self.asked), word(self.granted));
        Fact::new(
            "first difference",
            format!("segment {number}, the {name}: {asked} where the grant has {granted}"),
        )
    }
}

/// Returns what is wrong with a subject whoever uses it.
fn addressing(verb: Verb, subject: &str) -> Option<Reason> {
    let segment = |index| segment(subject, index);
    let plane = segment(PLANE);
    let is_wildcard = verb == Verb::Subscribe && matches!(plane, "*" | ">");
    let is_plane = !plane.is_empty() && plane.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let trust = segment(TRUST);
    let of_the_bus = match verb {
        Verb::Publish => matches!(trust, "safe" | "danger" | "reply"),
        Verb::Subscribe => plane == ">" || matches!(trust, "safe" | "danger" | "reply" | "*" | ">"),
    };
    if !(is_plane || is_wildcard) || !of_the_bus {
        return Some(Reason::NotOfTheBus);
    }
    let port = segment(PORT);
    let literal = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty();
    let mismatch =
        matches!(trust, "safe" | "danger") && literal && Trust::of_port(port).as_str() != trust;
    mismatch.then_some(Reason::TrustOfPort)
}

fn subject_facts(verb: Verb, subject: &str, queue: Option<&str>) -> Vec<Fact> {
    let mut facts = vec![Fact::new(verb.as_str(), subject)];
    facts.extend(queue.map(|queue| Fact::new("queue group", queue)));
    facts
}

fn differ(granted: &str, asked: &str) -> bool {
    let any_one = granted == "*" && !asked.is_empty() && asked != ">";
    !any_one && granted != asked
}

fn segment(subject: &str, index: usize) -> &str {
    subject.split('.').nth(index).unwrap_or_default()
}

const PLANE: usize = 0;
const TRUST: usize = 1;
const PORT: usize = 2;
const SOURCE: usize = 3;
const DESTINATION: usize = 4;
const SLOT: usize = 5;
const METHOD: usize = 6;
/// Names of the segments of a request; what follows is its path.
const SEGMENTS: [&str; 7] = [
    "plane",
    "trust",
    "port",
    "source host",
    "destination host",
    "slot",
    "method",
];
