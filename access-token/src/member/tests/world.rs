//! A bus in memory: real [`Member`]s, verifiers that behave as the Go ones do, and a network that delays and loses words.
//!
//! Nothing happens but by its queue of events, in the order of their times, and every choice is drawn from one seed: a seed
//! is a schedule that can be repeated.

use crate::member::{Member, Step};
use crate::word::Word;
use microbus_bus::Others;
use microbus_service::Verifier as Named;
use microbus_token::{Change, KeyId, RotationPolicy, SigningKey};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

/// How well the network works.
#[derive(Clone, Copy)]
pub(super) struct Network {
    /// Longest way of a word, a ping, or a JWK Set.
    pub(super) delay: Duration,
    /// One message in a hundred so many times is lost.
    pub(super) lost_percent: u32,
    /// One word in a hundred so many times takes up to [`LONGEST_DELAY`].
    pub(super) late_percent: u32,
}

/// What the broker can say of who is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broker {
    /// It is the only one, and knows everybody.
    Lone,
    /// It is one of several, or somebody listens to everything: nothing.
    Silent,
}

pub(super) struct World {
    rng: StdRng,
    pub(super) seed: u64,
    pub(super) network: Network,
    pub(super) broker: Broker,
    /// Longest that a replica that starts takes from one step to the next.
    pub(super) slowness: Duration,
    base: Instant,
    pub(super) now: Instant,
    events: BTreeMap<(Instant, u64), Event>,
    scheduled: u64,
    pub(super) replicas: Vec<Replica>,
    pub(super) verifiers: Vec<Verifier>,
    pub(super) tokens: Vec<Token>,
    pub(super) verified: usize,
    pub(super) refused: usize,
    /// What becomes of certain words, by their number, beside what is drawn.
    pub(super) faults: BTreeMap<usize, Fault>,
    /// How many words were sent.
    pub(super) words: usize,
}

/// What can become of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Lost,
    Late,
}

pub(super) struct Replica {
    pub(super) name: String,
    pub(super) member: Member,
    pub(super) state: State,
    busy: Option<Busy>,
    /// Whether the broker knows of it, by its claim at first.
    is_there: bool,
    /// What the broker said of others.
    told: Others,
    /// Whether it began to sign because nobody else was there.
    was_alone: bool,
    /// Until when it hears nothing, as a stopped process does.
    paused_until: Instant,
    /// How far its wall clock is ahead, in seconds.
    pub(super) ahead: i64,
    /// When the owner said what is known here of a key, on whatever way it came.
    pub(super) origins: HashMap<KeyId, Instant>,
    published: HashMap<KeyId, Instant>,
    /// When it is woken next.
    wakes_at: Option<Instant>,
    /// How many verifiers there were when it showed its key to all.
    shown_to: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It asks the broker whether others are there, and hears no words yet.
    Claiming,
    /// It hears words and looks for others, so many times more.
    Starting {
        met: bool,
        questions: usize,
    },
    /// It publishes keys, and mints as soon as one signs.
    Serving,
    Gone,
}

/// What a replica waits for.
enum Busy {
    Telling {
        kid: KeyId,
    },
    Showing {
        kid: KeyId,
        silent: HashSet<usize>,
        cold: Vec<usize>,
    },
}

#[derive(Default)]
pub(super) struct Verifier {
    pub(super) known: HashSet<KeyId>,
    last_fetch: Option<Instant>,
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) kid: KeyId,
    pub(super) signer: usize,
    pub(super) minted: Instant,
    pub(super) end: Instant,
}

enum Event {
    /// A word arrives; `answer` asks for one back.
    Hear {
        to: usize,
        from: usize,
        word: Word,
        origins: HashMap<KeyId, Instant>,
        answer: bool,
    },
    Wake(usize),
    /// The broker takes a replica's claim.
    Claimed(usize),
    /// The broker is asked for others, and the replica subscribes so long after it is told.
    Questioned(usize, Duration),
    /// The broker takes a replica's subscriptions.
    Subscribed(usize, Others),
    /// The time is over for whatever the replica waits for.
    Ready(usize),
    Exchange(usize),
    /// A ping arrives at a verifier.
    Ping {
        by: usize,
        at: usize,
        kid: KeyId,
    },
    /// A verifier's answer arrives.
    Pong {
        by: usize,
        at: usize,
        kid: KeyId,
    },
    /// A verifier's request for the JWK Set arrives somewhere, and then the set at the verifier.
    Asked {
        by: usize,
        why: Why,
    },
    Fetched {
        by: usize,
        keys: Vec<KeyId>,
        why: Why,
    },
    Check {
        at: usize,
        kid: KeyId,
    },
    CheckAll {
        kid: KeyId,
    },
}

/// What a verifier fetches keys for.
enum Why {
    Ping { by: usize, kid: KeyId },
    Token { kid: KeyId },
}

impl World {
    pub(super) fn new(seed: u64, network: Network, verifiers: usize) -> Self {
        let base = start();
        Self {
            rng: StdRng::seed_from_u64(seed),
            seed,
            network,
            broker: Broker::Lone,
            slowness: Duration::from_millis(1),
            base,
            now: base,
            events: BTreeMap::new(),
            scheduled: 0,
            replicas: Vec::new(),
            verifiers: (0..verifiers).map(|_| Verifier::default()).collect(),
            tokens: Vec::new(),
            verified: 0,
            refused: 0,
            faults: BTreeMap::new(),
            words: 0,
        }
    }

    /// Draws a number below `most`.
    pub(super) fn below(&mut self, most: usize) -> usize {
        self.rng.random_range(0..most)
    }

    /// Draws a time up to `longest`.
    pub(super) fn within(&mut self, longest: Duration) -> Duration {
        let most = u64::try_from(longest.as_micros()).unwrap().max(1);
        Duration::from_micros(self.rng.random_range(0..most))
    }

    /// Lets time pass, and everything happen that belongs into it.
    pub(super) fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            self.happen(event);
        }
        self.now = until;
    }

    /// Starts a replica and returns its number.
    pub(super) fn start(&mut self) -> usize {
        let steps = [(); 3].map(|()| self.within(self.slowness));
        self.start_in(steps)
    }

    /// Starts a replica that takes so long to each of its steps: claim, question and subscriptions.
    pub(super) fn start_in(&mut self, [claim, question, subscription]: [Duration; 3]) -> usize {
        let number = self.replicas.len();
        let name = format!("id-{number}");
        let policy = RotationPolicy::access(Duration::from_secs(6 * 3600));
        let mut replica = Replica {
            member: Member::new(name.clone(), policy, true),
            name,
            state: State::Claiming,
            busy: None,
            is_there: false,
            told: Others::Unknown,
            was_alone: false,
            paused_until: self.now,
            ahead: 0,
            origins: HashMap::new(),
            published: HashMap::new(),
            wakes_at: None,
            shown_to: 0,
        };
        let key = SigningKey::generate(&mut self.rng).unwrap();
        replica.published.insert(key.id().clone(), self.now);
        replica.member.prepare(key, self.now).unwrap();
        self.replicas.push(replica);
        match self.broker {
            Broker::Lone => {
                self.after(claim, Event::Claimed(number));
                self.after(claim + question, Event::Questioned(number, subscription));
            }
            Broker::Silent => self.after(subscription, Event::Subscribed(number, Others::Unknown)),
        }
        number
    }

    /// Has a replica make another key.
    pub(super) fn rotate(&mut self, number: usize) {
        self.replicas[number].member.request_rotation(self.now);
        self.drive(number);
    }

    /// Ends a replica as a stop does: its last word goes out.
    pub(super) fn stop(&mut self, number: usize) {
        self.replicas[number].member.leave();
        self.tell(number);
        self.replicas[number].state = State::Gone;
    }

    /// Ends a replica at once.
    pub(super) fn crash(&mut self, number: usize) {
        self.replicas[number].state = State::Gone;
    }

    /// Has a replica hear and do nothing for a while.
    pub(super) fn pause(&mut self, number: usize, span: Duration) {
        self.replicas[number].paused_until = self.now + span;
    }

    /// Starts a verifier, which one of the replicas shows its key to.
    pub(super) fn start_verifier(&mut self) -> usize {
        let number = self.verifiers.len();
        self.verifiers.push(Verifier::default());
        let by = self.living(Replica::signs);
        if let Some(&by) = by.first() {
            let kid = self.replicas[by].shown_key();
            self.send(Event::Ping {
                by,
                at: number,
                kid,
            });
        }
        number
    }

    /// Mints a token at any replica that does, and has it judged a moment later by the JWK Set of each that publishes one, as
    /// verifiers would that have seen nothing before.
    pub(super) fn mint_for_newcomers(&mut self) {
        if let Some(kid) = self.sign() {
            let delay = self.within(self.network.delay);
            self.after(delay, Event::CheckAll { kid });
        }
    }

    /// Mints a token at any replica that does, and has a verifier judge it a moment later.
    pub(super) fn mint(&mut self, verifier: Option<usize>) {
        let signed = self.sign();
        if let (Some(at), Some(kid)) = (verifier, signed) {
            let delay = self.within(self.network.delay);
            self.after(delay, Event::Check { at, kid });
        }
    }

    fn sign(&mut self) -> Option<KeyId> {
        let minting = self.living(Replica::signs);
        if minting.is_empty() {
            return None;
        }
        let signer = minting[self.below(minting.len())];
        let replica = &self.replicas[signer];
        let kid = replica.member.ring().active().unwrap().id().clone();
        let lifetime = [20, 300, 900][self.below(3)];
        let life = lifetime + 5 + self.replicas[signer].ahead;
        let token = Token {
            kid: kid.clone(),
            signer,
            minted: self.now,
            end: self.now + Duration::from_secs(u64::try_from(life).unwrap()),
        };
        self.tokens.push(token);
        Some(kid)
    }

    /// Returns the replicas that live and of which `which` holds.
    pub(super) fn living(&self, which: impl Fn(&Replica) -> bool) -> Vec<usize> {
        let numbers = 0..self.replicas.len();
        let lives = |number: &usize| {
            let replica = &self.replicas[*number];
            replica.state != State::Gone && which(replica)
        };
        numbers.filter(lives).collect()
    }

    fn happen(&mut self, event: Event) {
        let paused = match &event {
            Event::Hear { to: number, .. }
            | Event::Wake(number)
            | Event::Subscribed(number, _)
            | Event::Ready(number)
            | Event::Exchange(number)
            | Event::Pong { by: number, .. } => Some(self.replicas[*number].paused_until),
            Event::Claimed(_)
            | Event::Questioned(..)
            | Event::Ping { .. }
            | Event::Asked { .. }
            | Event::Fetched { .. }
            | Event::Check { .. }
            | Event::CheckAll { .. } => None,
        };
        if let Some(until) = paused.filter(|until| *until > self.now) {
            self.at(until, event);
            return;
        }
        match event {
            Event::Hear {
                to,
                from,
                word,
                origins,
                answer,
            } => self.hear(to, from, &word, origins, answer),
            Event::Wake(number) => self.drive(number),
            Event::Claimed(number) => self.replicas[number].is_there = true,
            Event::Questioned(number, subscription) => {
                let others = self.living(|one| one.is_there);
                let others = match others.iter().any(|other| *other != number) {
                    true => Others::Somebody,
                    false => Others::Nobody,
                };
                // The question is our word.
                self.tell(number);
                self.after(subscription, Event::Subscribed(number, others));
            }
            Event::Subscribed(number, others) => self.subscribed(number, others),
            Event::Ready(number) => self.ready(number),
            Event::Exchange(number) => {
                if self.replicas[number].state != State::Gone {
                    self.tell(number);
                    self.after(INTERVAL, Event::Exchange(number));
                }
            }
            Event::Ping { by, at, kid } => match self.must_fetch(at, &kid) {
                true => self.send(Event::Asked {
                    by: at,
                    why: Why::Ping { by, kid },
                }),
                false => self.pong(by, at, &kid),
            },
            Event::Pong { by, at, kid } => {
                let knows = self.verifiers[at].known.contains(&kid);
                let replica = &mut self.replicas[by];
                if let Some(Busy::Showing {
                    kid: shown,
                    silent,
                    cold,
                }) = &mut replica.busy
                    && *shown == kid
                    && silent.remove(&at)
                    && !knows
                {
                    cold.push(at);
                }
            }
            Event::Asked { by, why } => {
                let serving = self.living(Replica::publishes);
                let serving: Vec<_> = serving
                    .into_iter()
                    .filter(|number| self.replicas[*number].paused_until <= self.now)
                    .collect();
                let keys = if serving.is_empty() {
                    Vec::new()
                } else {
                    let chosen = serving[self.below(serving.len())];
                    self.replicas[chosen].keys()
                };
                self.send(Event::Fetched { by, keys, why });
            }
            Event::Fetched { by, keys, why } => {
                self.verifiers[by].known.extend(keys);
                match why {
                    Why::Ping { by: replica, kid } => self.pong(replica, by, &kid),
                    Why::Token { kid } => self.judge(by, &kid),
                }
            }
            Event::Check { at, kid } => match self.must_fetch(at, &kid) {
                true => self.send(Event::Asked {
                    by: at,
                    why: Why::Token { kid },
                }),
                false => self.judge(at, &kid),
            },
            Event::CheckAll { kid } => {
                for number in self.living(Replica::publishes) {
                    let keys = self.replicas[number].keys();
                    self.count(keys.contains(&kid));
                }
            }
        }
    }

    fn hear(
        &mut self,
        to: usize,
        from: usize,
        word: &Word,
        origins: HashMap<KeyId, Instant>,
        answer: bool,
    ) {
        let is_deaf = match self.replicas[to].state {
            State::Gone => true,
            // It hears answers, and nothing else yet.
            State::Claiming => answer,
            State::Starting { .. } | State::Serving => false,
        };
        if is_deaf {
            return;
        }
        let name = self.replicas[from].name.clone();
        let replica = &mut self.replicas[to];
        if let State::Starting { met, .. } = &mut replica.state {
            *met |= !word.leaving;
        }
        let outcome = replica.member.hear(&name, word, self.now);
        for (kid, origin) in origins {
            let known = replica.origins.entry(kid).or_insert(origin);
            *known = origin.max(*known);
        }
        self.note(to, outcome.changes);
        if answer {
            let (word, origins) = self.word(to);
            let back = Event::Hear {
                to: from,
                from: to,
                word,
                origins,
                answer: false,
            };
            self.send_word(back);
        }
        self.drive(to);
    }

    /// A replica hears words from now on, and looks for others as the broker's word has it.
    fn subscribed(&mut self, number: usize, others: Others) {
        let replica = &mut self.replicas[number];
        if replica.state == State::Gone {
            return;
        }
        replica.is_there = true;
        replica.told = others;
        replica.state = State::Starting {
            met: false,
            questions: others.questions().saturating_sub(1),
        };
        self.tell(number);
        let patience = match others {
            // The broker is waited for, and nobody else.
            Others::Nobody => self.within(self.slowness),
            Others::Somebody | Others::Unknown => ROUND_TRIP,
        };
        self.after(patience, Event::Ready(number));
        self.after(INTERVAL, Event::Exchange(number));
    }

    /// The time is over for whatever a replica waits for.
    fn ready(&mut self, number: usize) {
        let now = self.now;
        let replica = &mut self.replicas[number];
        if let State::Starting { met, questions } = replica.state {
            if !met && questions > 0 {
                replica.state = State::Starting {
                    met,
                    questions: questions - 1,
                };
                self.tell(number);
                self.after(ROUND_TRIP, Event::Ready(number));
                return;
            }
            replica.state = State::Serving;
            if replica.member.replicas().peers().next().is_none() {
                replica.was_alone = true;
                let changes = replica.member.activate_first(now);
                self.note(number, changes);
            }
        } else if replica.state == State::Serving {
            let changes = match replica.busy.take() {
                None => Vec::new(),
                Some(Busy::Telling { kid }) => replica.member.told(&kid, now),
                Some(Busy::Showing { kid, silent, cold }) => {
                    let named = |number: usize| Named {
                        host: "verifier".to_owned(),
                        instance: number.to_string(),
                    };
                    let cold = cold.into_iter().map(named).collect();
                    replica.member.shown(&kid, cold, silent.is_empty(), now)
                }
            };
            self.note(number, changes);
        }
        self.drive(number);
    }

    /// Has a replica do what is due.
    fn drive(&mut self, number: usize) {
        let now = self.now;
        let replica = &mut self.replicas[number];
        if replica.state == State::Gone {
            return;
        }
        let outcome = replica.member.advance(now);
        if replica.member.rotation_due(now) {
            let key = SigningKey::generate(&mut self.rng).unwrap();
            replica.published.insert(key.id().clone(), now);
            replica.member.prepare(key, now).unwrap();
        }
        self.note(number, outcome.changes);
        let replica = &mut self.replicas[number];
        if let Some(wakeup) = replica.member.next_wakeup() {
            self.wake(number, wakeup);
        }
        let replica = &mut self.replicas[number];
        if replica.state != State::Serving || replica.busy.is_some() {
            return;
        }
        match replica.member.next_step(now) {
            Step::Done => {}
            Step::Wait(until) => self.wake(number, until),
            Step::Tell => {
                let kid = replica.introduced_key();
                replica.busy = Some(Busy::Telling { kid });
                self.tell(number);
                self.after(ROUND_TRIP, Event::Ready(number));
            }
            Step::ShowAll => {
                replica.shown_to = self.verifiers.len();
                self.show(number, (0..self.verifiers.len()).collect());
            }
            Step::ShowAgain(cold) => {
                let cold = cold.iter().map(|one| one.instance.parse().unwrap());
                let cold = cold.collect();
                self.show(number, cold);
            }
        }
    }

    fn wake(&mut self, number: usize, at: Instant) {
        let (now, replica) = (self.now, &mut self.replicas[number]);
        let at = at.max(now + TICK);
        if replica
            .wakes_at
            .is_none_or(|known| known <= now || at < known)
        {
            replica.wakes_at = Some(at);
            self.at(at, Event::Wake(number));
        }
    }

    fn show(&mut self, number: usize, to: Vec<usize>) {
        let replica = &mut self.replicas[number];
        replica.member.showing(Duration::ZERO, self.now);
        replica.busy = Some(Busy::Showing {
            kid: replica.introduced_key(),
            silent: to.iter().copied().collect(),
            cold: Vec::new(),
        });
        let kid = replica.shown_key();
        for at in to {
            let kid = kid.clone();
            self.send(Event::Ping {
                by: number,
                at,
                kid,
            });
        }
        self.after(ROUND_TRIP, Event::Ready(number));
    }

    /// Sends a replica's word to all others, who answer with theirs.
    fn tell(&mut self, number: usize) {
        for to in self.living(|_| true) {
            if to != number {
                let (word, origins) = self.word(number);
                self.send_word(Event::Hear {
                    to,
                    from: number,
                    word,
                    origins,
                    answer: true,
                });
            }
        }
    }

    /// Returns a replica's word, and when the owners said what it says of keys.
    fn word(&mut self, number: usize) -> (Word, HashMap<KeyId, Instant>) {
        let now = self.now;
        let replica = &mut self.replicas[number];
        let word = replica.member.word(now);
        let own = replica.member.ring().published();
        let origin = |id: &KeyId| match own.get(id) {
            Some(_) => Some(now),
            None => replica.origins.get(id).copied(),
        };
        let known = word.keys.iter().map(|jwk| jwk.id().clone());
        let origins = known
            .filter_map(|id| Some((id.clone(), origin(&id)?)))
            .collect();
        (word, origins)
    }

    /// Notes what happened to a replica's keys, and judges it.
    fn note(&mut self, number: usize, changes: Vec<Change>) {
        let any = !changes.is_empty();
        for change in changes {
            match change {
                Change::Activated(kid) => self.judge_activation(number, &kid),
                Change::Retired(_) => {}
                Change::Erased(kid) => {
                    let alive = |token: &&Token| token.kid == kid && token.end > self.now;
                    let lost = self.tokens.iter().find(alive);
                    assert!(
                        lost.is_none(),
                        "{self}: {kid} is withdrawn with live tokens"
                    );
                }
            }
        }
        if any && self.replicas[number].state == State::Serving {
            self.tell(number);
        }
    }

    /// A key signs when it was published for the agreed time, or nobody else is there, or everybody has it.
    fn judge_activation(&self, number: usize, kid: &KeyId) {
        let replica = &self.replicas[number];
        let published = self.now - replica.published[kid];
        let is_first = replica.published.len() == 1;
        if is_first && replica.was_alone {
            // The broker's word holds whatever becomes of messages, silence where they arrive.
            if replica.told == Others::Nobody || self.works() {
                let signing = self.living(Replica::signs);
                assert_eq!(
                    signing,
                    [number],
                    "{self}: {number} signs as if it were alone"
                );
            }
            return;
        }
        if published >= Duration::from_secs(10) {
            return;
        }
        for peer in replica.member.replicas().peers_of_ours() {
            let other = self.replicas.iter().find(|other| other.name == peer);
            let other = other.unwrap();
            let has_it = other.keys().contains(kid);
            assert!(has_it, "{self}: {kid} signs, and {peer} does not have it");
        }
        let shown_to = self.verifiers.iter().take(replica.shown_to);
        for (number, verifier) in shown_to.enumerate() {
            let knows = verifier.known.contains(kid);
            assert!(
                knows,
                "{self}: {kid} signs, and verifier {number} does not know it"
            );
        }
    }

    /// Judges that whoever heard of a key in time publishes it as long as tokens of it live.
    pub(super) fn judge_memories(&self) {
        for number in self.living(Replica::publishes) {
            let replica = &self.replicas[number];
            let keys = replica.keys();
            for token in self.tokens.iter().filter(|token| token.end > self.now) {
                let heard = replica.origins.get(&token.kid);
                let in_time = heard.is_some_and(|origin| *origin + HEARD_BEFORE >= token.minted);
                if (in_time || number == token.signer) && !keys.contains(&token.kid) {
                    let (kid, signer) = (&token.kid, token.signer);
                    panic!(
                        "{self}: replica {number} forgot {kid} of replica {signer}, a token lives"
                    );
                }
            }
        }
    }

    /// Tells whether every word arrives in time.
    fn works(&self) -> bool {
        let awake = |one: &Replica| one.paused_until <= self.now;
        self.network.lost_percent == 0
            && self.network.late_percent == 0
            && self.faults.is_empty()
            && self.replicas.iter().all(awake)
    }

    fn must_fetch(&mut self, at: usize, kid: &KeyId) -> bool {
        let now = self.now;
        let verifier = &mut self.verifiers[at];
        let debounced = verifier
            .last_fetch
            .is_some_and(|began| now < began + Duration::from_secs(1));
        if verifier.known.contains(kid) || debounced {
            return false;
        }
        verifier.last_fetch = Some(now);
        true
    }

    fn pong(&mut self, by: usize, at: usize, kid: &KeyId) {
        let kid = kid.clone();
        self.send(Event::Pong { by, at, kid });
    }

    fn judge(&mut self, at: usize, kid: &KeyId) {
        self.count(self.verifiers[at].known.contains(kid));
    }

    fn count(&mut self, is_verified: bool) {
        match is_verified {
            true => self.verified += 1,
            false => self.refused += 1,
        }
    }

    fn send_word(&mut self, event: Event) {
        self.words += 1;
        match self.faults.get(&self.words) {
            Some(Fault::Lost) => return,
            Some(Fault::Late) => return self.after(LONGEST_DELAY, event),
            None => {}
        }
        if self.below(100) < usize::try_from(self.network.late_percent).unwrap() {
            if !self.is_lost() {
                let delay = self.within(LONGEST_DELAY);
                self.after(delay, event);
            }
        } else {
            self.send(event);
        }
    }

    fn send(&mut self, event: Event) {
        if !self.is_lost() {
            let delay = self.within(self.network.delay);
            self.after(delay, event);
        }
    }

    fn is_lost(&mut self) -> bool {
        self.below(100) < usize::try_from(self.network.lost_percent).unwrap()
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.at(self.now + delay, event);
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }
}

impl Replica {
    /// Tells whether it answers `JWKS`.
    pub(super) fn publishes(&self) -> bool {
        self.state == State::Serving
    }

    /// Tells whether it answers `Mint`.
    pub(super) fn signs(&self) -> bool {
        self.publishes() && self.member.ring().active().is_some()
    }

    /// Returns the keys of its JWK Set.
    pub(super) fn keys(&self) -> Vec<KeyId> {
        let union = self.member.union();
        union.iter().map(|jwk| jwk.id().clone()).collect()
    }

    fn introduced_key(&self) -> KeyId {
        self.member.introducing().unwrap().clone()
    }

    fn shown_key(&self) -> KeyId {
        let ring = self.member.ring();
        let next = ring.next().map(|(key, _)| key).or_else(|| ring.active());
        next.unwrap().id().clone()
    }
}

impl std::fmt::Display for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (seed, passed) = (self.seed, self.now - self.base);
        write!(formatter, "schedule {seed} after {passed:?}")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant can only be got by reading one"
)]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// A replica that heard of a key so long before a token of it was minted knows it until the token ends: a minute of margin,
/// less what wall clocks are ahead, and fractions of seconds at each replica that passes the word on.
const HEARD_BEFORE: Duration = Duration::from_secs(35);
pub(super) const INTERVAL: Duration = Duration::from_secs(5);
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(8);
const ROUND_TRIP: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(1);
